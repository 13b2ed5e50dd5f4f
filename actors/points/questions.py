"""Queries that are asked together: one way to the store and back, on one snapshot."""

from collections.abc import Iterable

import attrs

from actors.points.queries import MAX_IDS, with_ids
from runtime.storage import Database, Query, Row


@attrs.define(eq=False)
class Questions:
    """What there is to ask about one merchant. Each list that it gives has its rows once all of
    it was asked."""

    _merchant_id: str
    _queries: list[Query] = attrs.field(factory=list)
    _rows: list[list[Row]] = attrs.field(factory=list)

    def add(self, sql: str) -> list[Row]:
        """The rows of a query that needs nothing but the merchant."""
        return self._add([(sql, (self._merchant_id,))])

    def add_ids(self, sql: str, ids: Iterable[str], *more: str) -> list[Row]:
        """The rows for any number of ids; `more` are the values between merchant and ids."""
        wanted = sorted(set(ids))
        chunks = [wanted[start : start + MAX_IDS] for start in range(0, len(wanted), MAX_IDS)]
        return self._add([with_ids(sql, self._merchant_id, chunk, *more) for chunk in chunks])

    def _add(self, queries: Iterable[Query]) -> list[Row]:
        rows: list[Row] = []
        for query in queries:
            self._queries.append(query)
            self._rows.append(rows)
        return rows

    async def ask(self, database: Database) -> None:
        """Fill the lists. Raises `StorageError`."""
        if not self._queries:
            return
        results = await database.fetch_many(self._queries)
        for rows, result in zip(self._rows, results, strict=True):
            rows.extend(result)


async def fetch_by_ids(
    database: Database, sql: str, merchant_id: str, ids: Iterable[str]
) -> list[Row]:
    """The rows for any number of ids."""
    questions = Questions(merchant_id)
    rows = questions.add_ids(sql, ids)
    await questions.ask(database)
    return rows
