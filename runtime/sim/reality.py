"""What is really in the simulated store, for those who look at it from outside of the processes."""

from collections.abc import Sequence
from typing import Any

from runtime.storage import AnyEntry, Row
from runtime.storage.port import Query
from runtime.storage.sqlite import SqliteDatabase, open_sqlite_memory
from runtime.storage.sqlite_templates import Copy, Schema
from runtime.storage.sqlite_values import sqlite_sql

EMPTY = Schema()


class Reality:
    """A database in memory, without faults and without deadlines, since nobody has one outside
    of the processes.

    Nothing here is a checkpoint: what reaches it from the processes waited on the way.
    """

    def __init__(self, schema: Schema = EMPTY) -> None:
        self._copy = Copy(schema)
        self._database: SqliteDatabase = open_sqlite_memory(self._copy.connection, yields=False)
        self._unsynced = 0

    def end(self) -> None:
        """Nobody looks at it any more."""
        self._copy.give_back()

    def value_now(self, sql: str, *values: Any) -> Any:
        """As `fetch_value`, for those who look between two steps of the store."""
        row = self._copy.connection.execute(sqlite_sql(sql), values).fetchone()
        return row[0] if row is not None else None

    async def fetch(self, sql: str, *values: Any) -> list[Row]:
        return await self._database.fetch(sql, *values)

    async def fetch_row(self, sql: str, *values: Any) -> Row | None:
        return await self._database.fetch_row(sql, *values)

    async def fetch_value(self, sql: str, *values: Any) -> Any:
        return await self._database.fetch_value(sql, *values)

    async def fetch_many(self, queries: Sequence[Query]) -> list[list[Row]]:
        return await self._database.fetch_many(queries)

    async def execute(self, sql: str, *values: Any) -> list[Row]:
        rows = await self._database.execute(sql, *values)
        self._sync()
        return rows

    async def transact(self, statements: Sequence[Query]) -> None:
        await self._database.transact(statements)
        self._sync()

    async def append(self, entries: Sequence[AnyEntry], *, synchronous: bool = True) -> None:
        if synchronous:
            await self._database.append(entries)
            self._sync()
            return
        self._copy.connection.execute("SAVEPOINT unsynced")
        self._unsynced += 1
        try:
            await self._database.append(entries)
        except BaseException:
            self.lose(1)
            raise

    @property
    def unsynced(self) -> int:
        """Commits that the store would lose with its power."""
        return self._unsynced

    def _sync(self) -> None:
        while self._unsynced:
            self._copy.connection.execute("RELEASE unsynced")
            self._unsynced -= 1

    def lose(self, commits: int) -> None:
        """Undo the last ones, of those that are not synced."""
        for _ in range(commits):
            self._copy.connection.execute("ROLLBACK TO unsynced")
            self._copy.connection.execute("RELEASE unsynced")
            self._unsynced -= 1

    @property
    def as_database(self) -> SqliteDatabase:
        """The port itself, for those who bring a deadline along."""
        return self._database
