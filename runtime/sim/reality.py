"""What is really in the simulated store, for those who look at it from outside of the processes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from runtime.context import Context, current
from runtime.parking import monotonic
from runtime.storage import Entry, Migrations, Row
from runtime.storage.port import Query
from runtime.storage.sqlite import SqliteDatabase, open_sqlite_memory
from runtime.storage.sqlite_templates import template_of

LONG_S = 86_400.0


@contextmanager
def _at_leisure() -> Iterator[None]:
    """Outside of the processes nobody has a deadline, which adapters would not believe."""
    token = current.set(Context(monotonic() + LONG_S))
    try:
        yield
    finally:
        current.reset(token)


class Reality:
    """A database in memory, without faults and without deadlines. It has had the
    migrations of `schema`.

    Nothing here is a checkpoint: what reaches it from the processes waited on the way.
    """

    def __init__(self, schema: tuple[Migrations, ...] = ()) -> None:
        template = template_of(schema) if schema else None
        self._database: SqliteDatabase = open_sqlite_memory(template, yields=False)

    async def fetch(self, sql: str, *values: Any) -> list[Row]:
        with _at_leisure():
            return await self._database.fetch(sql, *values)

    async def fetch_row(self, sql: str, *values: Any) -> Row | None:
        with _at_leisure():
            return await self._database.fetch_row(sql, *values)

    async def fetch_value(self, sql: str, *values: Any) -> Any:
        with _at_leisure():
            return await self._database.fetch_value(sql, *values)

    async def fetch_many(self, queries: Sequence[Query]) -> list[list[Row]]:
        with _at_leisure():
            return await self._database.fetch_many(queries)

    async def execute(self, sql: str, *values: Any) -> list[Row]:
        with _at_leisure():
            return await self._database.execute(sql, *values)

    async def transact(self, statements: Sequence[Query]) -> None:
        with _at_leisure():
            await self._database.transact(statements)

    async def append(self, entries: Sequence[Entry]) -> None:
        with _at_leisure():
            await self._database.append(entries)

    @property
    def as_database(self) -> SqliteDatabase:
        """The port itself, for those who bring a deadline along."""
        return self._database
