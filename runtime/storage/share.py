"""A domain's share of the store: the bulkhead that keeps it from taking all connections."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from math import ceil
from typing import Any

import attrs
import trio

from runtime.storage.deadlines import until_deadline
from runtime.storage.port import ANNOUNCED_S, Database, Dialect, Entry, Query, Row

LARGEST_SHARE = 0.5
"""Of the store's connections, for one domain."""


@attrs.frozen
class ShareStatistics:
    """`waiting` queries have no connection yet."""

    name: str
    limit: int
    in_use: int
    waiting: int


class DatabaseShare:
    """The store, for one domain: its queries and writes wait when too many are running already.

    Waiting ends at the deadline in force with `StorageUnavailable`. Journal entries and notices
    do not count: they have connections of their own.
    """

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name
        self._running = trio.CapacityLimiter(1)

    @property
    def dialect(self) -> Dialect:
        return self._database.dialect

    @property
    def concurrency(self) -> int:
        return max(1, ceil(self._database.concurrency * LARGEST_SHARE))

    async def fetch(self, sql: str, *values: Any) -> list[Row]:
        async with self._permit():
            return await self._database.fetch(sql, *values)

    async def fetch_row(self, sql: str, *values: Any) -> Row | None:
        async with self._permit():
            return await self._database.fetch_row(sql, *values)

    async def fetch_value(self, sql: str, *values: Any) -> Any:
        async with self._permit():
            return await self._database.fetch_value(sql, *values)

    async def fetch_many(self, queries: Sequence[Query]) -> list[list[Row]]:
        async with self._permit():
            return await self._database.fetch_many(queries)

    async def execute(self, sql: str, *values: Any) -> list[Row]:
        async with self._permit():
            return await self._database.execute(sql, *values)

    async def transact(self, statements: Sequence[Query]) -> None:
        async with self._permit():
            await self._database.transact(statements)

    async def append(self, entries: Sequence[Entry]) -> None:
        await self._database.append(entries)

    def listen(self, channel: str) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[str]]:
        return self._database.listen(channel)

    async def notify(self, channel: str, payload: str) -> None:
        await self._database.notify(channel, payload)

    async def attend(self) -> None:
        await self._database.attend()

    def as_owner(self) -> AbstractAsyncContextManager[Database]:
        return self._database.as_owner()

    async def announce(self, address: str | None, owner: str) -> None:
        await self._database.announce(address, owner)

    async def announced(self, within_s: float = ANNOUNCED_S) -> str | None:
        return await self._database.announced(within_s)

    async def close(self) -> None:
        """Nothing. Closing is the keeper's business."""

    @asynccontextmanager
    async def _permit(self) -> AsyncIterator[None]:
        self._running.total_tokens = self.concurrency
        with until_deadline():
            await self._running.acquire()
        try:
            yield
        finally:
            self._running.release()

    def statistics(self) -> ShareStatistics:
        numbers = self._running.statistics()
        return ShareStatistics(
            self._name,
            int(numbers.total_tokens),
            numbers.borrowed_tokens,
            numbers.tasks_waiting,
        )
