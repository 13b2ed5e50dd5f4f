"""A database whose every use is counted, timed, and part of the trace in progress."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from typing import Any

import trio

from runtime.parking import monotonic
from runtime.storage.errors import CommitUnknown, ConstraintViolation, StorageUnavailable
from runtime.storage.metrics import DatabaseMetrics
from runtime.storage.port import ANNOUNCED_S, AnyEntry, Database, Dialect, Query, Row
from runtime.tracing import SpanKind, Tracing, span

STATEMENT_MAX = 300
"""Characters of SQL in a span. It holds no values: those are parameters."""


class MeasuredDatabase:
    """Passes everything on to a database. Notices and the owner's work are not measured."""

    def __init__(
        self, database: Database, metrics: DatabaseMetrics, tracing: Tracing | None = None
    ) -> None:
        self._database = database
        self._metrics = metrics
        self._tracing = tracing

    @property
    def dialect(self) -> Dialect:
        return self._database.dialect

    @property
    def concurrency(self) -> int:
        return self._database.concurrency

    async def fetch(self, sql: str, *values: Any) -> list[Row]:
        with self._measured("fetch", sql):
            return await self._database.fetch(sql, *values)

    async def fetch_row(self, sql: str, *values: Any) -> Row | None:
        with self._measured("fetch", sql):
            return await self._database.fetch_row(sql, *values)

    async def fetch_value(self, sql: str, *values: Any) -> Any:
        with self._measured("fetch", sql):
            return await self._database.fetch_value(sql, *values)

    async def fetch_many(self, queries: Sequence[Query]) -> list[list[Row]]:
        with self._measured("fetch_many", queries[0][0] if queries else ""):
            return await self._database.fetch_many(queries)

    async def execute(self, sql: str, *values: Any) -> list[Row]:
        with self._measured("execute", sql):
            return await self._database.execute(sql, *values)

    async def transact(self, statements: Sequence[Query]) -> None:
        with self._measured("transact", statements[0][0] if statements else ""):
            await self._database.transact(statements)

    async def append(self, entries: Sequence[AnyEntry], *, synchronous: bool = True) -> None:
        with self._measured("append", f"{len(entries)} entries"):
            await self._database.append(entries, synchronous=synchronous)

    def listen(self, channel: str) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[str]]:
        return self._database.listen(channel)

    async def notify(self, channel: str, payload: str) -> None:
        await self._database.notify(channel, payload)

    async def attend(self) -> None:
        await self._database.attend()

    @asynccontextmanager
    async def as_owner(self) -> AsyncIterator[Database]:
        async with self._database.as_owner() as owner:
            yield owner

    async def announce(self, address: str | None, owner: str) -> None:
        await self._database.announce(address, owner)

    async def announced(self, within_s: float = ANNOUNCED_S) -> str | None:
        return await self._database.announced(within_s)

    async def close(self) -> None:
        await self._database.close()

    def _measured(self, operation: str, statement: str) -> AbstractContextManager[object]:
        use = _Use(self._metrics, operation)
        return use if self._tracing is None else self._traced(self._tracing, use, statement)

    @contextmanager
    def _traced(self, tracing: Tracing, use: "_Use", statement: str) -> Iterator[None]:
        with use, span(tracing, f"database {use.operation}", SpanKind.CLIENT) as current:
            if current is not None:
                current.set("db.system.name", self.dialect.value)
                current.set("db.query.text", statement[:STATEMENT_MAX])
            yield


class _Use:
    """A block that is one use: counted and timed. A class, as a generator costs three times as
    much, on every query."""

    __slots__ = ("_began", "_metrics", "operation")

    def __init__(self, metrics: DatabaseMetrics, operation: str) -> None:
        self.operation = operation
        self._metrics = metrics

    def __enter__(self) -> None:
        self._began = monotonic()

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        outcome = "ok" if error is None else outcome_of(error)
        self._metrics.used(self.operation, outcome, monotonic() - self._began)


def outcome_of(error: BaseException) -> str:
    """The label of a use that ended with an error."""
    match error:
        case trio.Cancelled():
            return "cancelled"
        case ConstraintViolation():
            return "rejected"
        case StorageUnavailable():
            return "unavailable"
        case CommitUnknown():
            return "unknown"
    return "failed"
