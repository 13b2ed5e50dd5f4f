"""A database that may come and go: what domains hold while the keeper of the real one restarts."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import trio

from runtime.storage.errors import TAKEN_OVER, StorageUnavailable, TakenOver
from runtime.storage.port import ANNOUNCED_S, Database, Dialect, Entry, Query, Row
from runtime.storage.share import DatabaseShare


class DatabaseHandle:
    """Passes everything on to the attached database.

    Raises `StorageUnavailable` while there is none, and `TakenOver` once it is retired.
    """

    def __init__(self) -> None:
        self._database: Database | None = None
        self._retired = False

    def attach(self, database: Database) -> None:
        self._database = database

    def detach(self) -> None:
        self._database = None

    def retire(self) -> None:
        """Another process has the store now: for good, everything here raises `TakenOver`."""
        self._retired = True

    @property
    def retired(self) -> bool:
        return self._retired

    def share(self, name: str) -> DatabaseShare:
        """The store for one domain, which cannot take all of its connections."""
        return DatabaseShare(self, name)

    @property
    def _attached(self) -> Database:
        if self._retired:
            raise TakenOver(TAKEN_OVER)
        if self._database is None:
            raise StorageUnavailable("the database is not open")
        return self._database

    @property
    def dialect(self) -> Dialect:
        return self._attached.dialect

    @property
    def concurrency(self) -> int:
        return self._attached.concurrency

    async def fetch(self, sql: str, *values: Any) -> list[Row]:
        return await self._attached.fetch(sql, *values)

    async def fetch_row(self, sql: str, *values: Any) -> Row | None:
        return await self._attached.fetch_row(sql, *values)

    async def fetch_value(self, sql: str, *values: Any) -> Any:
        return await self._attached.fetch_value(sql, *values)

    async def fetch_many(self, queries: Sequence[Query]) -> list[list[Row]]:
        return await self._attached.fetch_many(queries)

    async def execute(self, sql: str, *values: Any) -> list[Row]:
        return await self._attached.execute(sql, *values)

    async def transact(self, statements: Sequence[Query]) -> None:
        await self._attached.transact(statements)

    async def append(self, entries: Sequence[Entry]) -> None:
        await self._attached.append(entries)

    def listen(self, channel: str) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[str]]:
        return self._attached.listen(channel)

    async def notify(self, channel: str, payload: str) -> None:
        await self._attached.notify(channel, payload)

    async def attend(self) -> None:
        await self._attached.attend()

    def as_owner(self) -> AbstractAsyncContextManager[Database]:
        return self._attached.as_owner()

    async def announce(self, address: str | None, owner: str) -> None:
        await self._attached.announce(address, owner)

    async def announced(self, within_s: float = ANNOUNCED_S) -> str | None:
        return await self._attached.announced(within_s)

    async def close(self) -> None:
        """Detach. Closing is the keeper's business."""
        self.detach()
