"""Queries and writes as everybody has them: through the pipeline of the database."""

from collections.abc import Awaitable, Callable, Sequence
from operator import methodcaller
from typing import Any, Protocol, TypeAlias

from runtime.storage.port import ANNOUNCED_S, AnyEntry, Query, Row

Operation: TypeAlias = Callable[[Any], Awaitable[Any]]
"""Of a `Database`."""


class Through(Protocol):
    """Does an operation of the store. A `repeatable` one, which a query is and a write is not, may
    be attempted again when its connection was lost; one that is not `counted` takes no place
    from others."""

    async def __call__(
        self, operation: Operation, *, repeatable: bool = False, counted: bool = True
    ) -> Any: ...


class Guarded:
    """The part of the port that goes through a pipeline; `_through` is the way there."""

    _through: Through

    async def fetch(self, sql: str, *values: Any) -> list[Row]:
        rows: list[Row] = await self._through(methodcaller("fetch", sql, *values), repeatable=True)
        return rows

    async def fetch_row(self, sql: str, *values: Any) -> Row | None:
        query = methodcaller("fetch_row", sql, *values)
        row: Row | None = await self._through(query, repeatable=True)
        return row

    async def fetch_value(self, sql: str, *values: Any) -> Any:
        return await self._through(methodcaller("fetch_value", sql, *values), repeatable=True)

    async def fetch_many(self, queries: Sequence[Query]) -> list[list[Row]]:
        reading = methodcaller("fetch_many", queries)
        results: list[list[Row]] = await self._through(reading, repeatable=True)
        return results

    async def execute(self, sql: str, *values: Any) -> list[Row]:
        rows: list[Row] = await self._through(methodcaller("execute", sql, *values))
        return rows

    async def transact(self, statements: Sequence[Query]) -> None:
        await self._through(methodcaller("transact", statements))

    async def append(self, entries: Sequence[AnyEntry], *, synchronous: bool = True) -> None:
        """On a connection of its own: readers cannot hold it up, nor it them."""
        writing = methodcaller("append", entries, synchronous=synchronous)
        await self._through(writing, counted=False)

    async def notify(self, channel: str, payload: str) -> None:
        await self._through(methodcaller("notify", channel, payload), repeatable=True)

    async def announce(self, address: str | None, owner: str) -> None:
        await self._through(methodcaller("announce", address, owner))

    async def announced(self, within_s: float = ANNOUNCED_S) -> str | None:
        looking = methodcaller("announced", within_s)
        address: str | None = await self._through(looking, repeatable=True)
        return address
