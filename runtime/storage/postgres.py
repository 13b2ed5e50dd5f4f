"""The PostgreSQL adapter: asyncpg, awaited from Trio through the host loop."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import structlog
import trio

from runtime import host
from runtime.parking import monotonic
from runtime.policies import require_deadline
from runtime.rotation import RotatingSecret
from runtime.storage.deadlines import server_timeout_ms, until_deadline
from runtime.storage.errors import (
    CommitUnknown,
    MigrationError,
    StorageError,
    StorageUnavailable,
)
from runtime.storage.grouping import Group, grouped
from runtime.storage.policies import DEPENDENCY
from runtime.storage.port import (
    ANNOUNCED_S,
    APPLICATION_ROLE,
    AcrossMerchants,
    AnyEntry,
    Database,
    Dialect,
    Query,
    Row,
)
from runtime.storage.postgres_errors import translated, translated_connecting
from runtime.storage.postgres_notices import NOTIFY, NoticeConnection, packed
from runtime.storage.postgres_pool import CONNECT_TIMEOUT_S, PoolStatistics, SessionPool
from runtime.storage.postgres_session import IDLE_IN_TRANSACTION, Context, Session, log_in
from runtime.trouble import Trouble

EVERYBODY = "*"
NO_MERCHANT = re.compile(r"[,*]")
WRITE_TIMEOUT_S = 3.0
"""After it a write that has begun is cut off; the server ends it by itself at the same time."""

OWN_CONNECTIONS = 2
"""Beside the pool's: one to append with, so that readers cannot hold up the journal, and one
that listens."""

CONNECTIONS_LEAST = OWN_CONNECTIONS + 1

ANNOUNCE = (
    "UPDATE journal_partitions SET address = CAST($1 AS TEXT), announced_at = now()"
    " WHERE owner = $2"
)

SELECT_ADDRESS = (
    "SELECT address FROM journal_partitions WHERE address IS NOT NULL"
    " AND announced_at > now() - make_interval(secs => $1)"
)

MIGRATION_LOCK = 0x6C6F79616C  # "loyal"
MIGRATION_LOCK_TIMEOUT_S = 60.0
MIGRATION_TIMEOUT_S = 600.0
"""For one statement, on the server; the driver would cut it off after twice that."""

MIGRATION_CONNECT_S = 5.0
"""Who changes the schema can do nothing else meanwhile, and nobody waits for an answer."""

MIGRATION_SETTINGS = {IDLE_IN_TRANSACTION: "30s"}
"""A process that stood still for seconds within a migration may go on: `migrate` does not begin
again. Who waits for the schema waits for longer than that."""

TAKE_LOCK = "SELECT pg_advisory_lock(CAST($1 AS BIGINT))"

log = structlog.get_logger("loyalnest.postgres")


class PostgresDatabase:
    """A database on a server that other processes may use as well.

    Reads end at the deadline in force, on the server too. Commits are durable when they return,
    if the server is so configured.
    """

    def __init__(
        self, url: str | RotatingSecret, connections: int, role: str | None = APPLICATION_ROLE
    ) -> None:
        self._url = RotatingSecret.of(url)
        settings = {"role": role} if role is not None else {}

        async def open_session(generation: int, timeout_s: float) -> Session:
            return await log_in(self._url, generation, timeout_s, settings)

        away = Trouble(log, "database_away", "database_reached_again", at_once=True)
        self._pool = SessionPool(open_session, max(1, connections - OWN_CONNECTIONS), away)
        self._appending = SessionPool(open_session, 1, away, (self._pool,))
        self._notices = NoticeConnection(partial(open_session, 0, CONNECT_TIMEOUT_S), away)
        self._connections = max(1, connections - OWN_CONNECTIONS)
        self._closed = False

    @property
    def dialect(self) -> Dialect:
        return Dialect.POSTGRESQL

    @property
    def concurrency(self) -> int:
        return self._connections

    async def fetch(self, sql: str, *values: Any) -> list[Row]:
        return await self._read(whom(sql, values), Session.fetch, sql, values)  # type: ignore[no-any-return]

    async def fetch_row(self, sql: str, *values: Any) -> Row | None:
        return await self._read(whom(sql, values), Session.fetch_row, sql, values)  # type: ignore[no-any-return]

    async def fetch_value(self, sql: str, *values: Any) -> Any:
        row = await self.fetch_row(sql, *values)
        return row[0] if row is not None else None

    async def fetch_many(self, queries: Sequence[Query]) -> list[list[Row]]:
        return await self._read(whom_all(queries), Session.fetch_many, queries)  # type: ignore[no-any-return]

    async def execute(self, sql: str, *values: Any) -> list[Row]:
        return await self._write(  # type: ignore[no-any-return]
            self._pool, whom(sql, values), Session.execute, sql, values
        )

    async def transact(self, statements: Sequence[Query]) -> None:
        await self._write(self._pool, whom_all(statements), Session.transact, statements)

    async def append(self, entries: Sequence[AnyEntry], *, synchronous: bool = True) -> None:
        groups = grouped(entries)
        merchants = merchants_of(groups)
        await self._write(self._appending, merchants, Session.append, groups, synchronous)

    def listen(self, channel: str) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[str]]:
        return self._notices.listen(channel)

    async def notify(self, channel: str, payload: str) -> None:
        await self._read("", Session.fetch, NOTIFY, (packed(channel, payload),))

    async def attend(self) -> None:
        await self._notices.run()

    async def announce(self, address: str | None, owner: str) -> None:
        await self.execute(ANNOUNCE, address, owner)

    async def announced(self, within_s: float = ANNOUNCED_S) -> str | None:
        address: str | None = await self.fetch_value(SELECT_ADDRESS, within_s)
        return address

    @asynccontextmanager
    async def as_owner(self) -> AsyncIterator[Database]:
        limit_s = MIGRATION_CONNECT_S
        with translated_connecting(limit_s):
            session = await host.call(
                log_in, self._url, 0, limit_s, MIGRATION_SETTINGS, 2 * MIGRATION_TIMEOUT_S
            )
        try:
            owner = _Owner(session)
            await owner.lock()
            yield owner
        finally:
            session.terminate()

    async def close(self) -> None:
        """Idempotent. What is under way ends first or is cut off at its own limit."""
        self._closed = True
        for pool in (self._pool, self._appending):
            await pool.close()

    def statistics(self) -> PoolStatistics:
        """Of the connections for queries."""
        return self._pool.statistics()

    async def _read(
        self, merchants: str, operation: Callable[..., Awaitable[Any]], *arguments: Any
    ) -> Any:
        self._check_open()
        with until_deadline() as deadline:
            async with self._pool.session() as session:
                context = Context(merchants, server_timeout_ms(deadline))
                with translated():
                    return await host.call(session.run, context, operation, *arguments)
        raise AssertionError("unreachable")

    async def _write(
        self,
        pool: SessionPool,
        merchants: str,
        operation: Callable[..., Awaitable[Any]],
        *arguments: Any,
    ) -> Any:
        """Cancellable until it has begun; then it ends, or is cut off at its own limit."""
        self._check_open()
        require_deadline(DEPENDENCY)
        async with pool.session() as session:
            deadline = monotonic() + WRITE_TIMEOUT_S
            context = Context(merchants, server_timeout_ms(deadline))
            with trio.CancelScope(shield=True, deadline=deadline), translated(session):
                return await host.call(session.run, context, operation, *arguments)
            if session.committing:
                raise CommitUnknown("the commit took too long")
            raise StorageUnavailable("the database took too long")

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError("the database is closed")


class _Owner(PostgresDatabase):
    """The store with the rights of whoever logged in, on one connection with the lock."""

    def __init__(self, session: Session) -> None:
        super().__init__("", CONNECTIONS_LEAST, None)
        self._session = session

    async def lock(self) -> None:
        """Wait until nobody else changes the schema. Raises `MigrationError`."""
        with trio.move_on_after(MIGRATION_LOCK_TIMEOUT_S):
            await self.fetch(TAKE_LOCK, MIGRATION_LOCK)
            return
        raise MigrationError("another process has been changing the schema for a minute")

    async def _read(
        self, merchants: str, operation: Callable[..., Awaitable[Any]], *arguments: Any
    ) -> Any:
        context = Context(EVERYBODY, round(MIGRATION_TIMEOUT_S * 1000))
        with translated(self._session):
            return await host.call(self._session.run, context, operation, *arguments)

    async def _write(
        self,
        pool: SessionPool,
        merchants: str,
        operation: Callable[..., Awaitable[Any]],
        *arguments: Any,
    ) -> Any:
        with trio.CancelScope(shield=True):
            return await self._read(merchants, operation, *arguments)


def whom(sql: str, values: Sequence[Any]) -> str:
    """The merchants whose rows a query may see, as row-level security wants it."""
    if isinstance(sql, AcrossMerchants):
        return EVERYBODY
    return _joined(values[:1])


def whom_all(queries: Iterable[Query]) -> str:
    queries = tuple(queries)
    if any(isinstance(sql, AcrossMerchants) for sql, _ in queries):
        return EVERYBODY
    return _joined({values[0] for _, values in queries if values})


def merchants_of(groups: Iterable[Group]) -> str:
    """The merchants whose rows are written."""
    return _joined({row[0] for statement, rows in groups if not statement.shared for row in rows})


def _joined(merchants: Iterable[Any]) -> str:
    """What looks like a list, or like everybody, is no merchant."""
    ids = [id_ for id_ in merchants if isinstance(id_, str) and not NO_MERCHANT.search(id_)]
    return ",".join(sorted(ids))
