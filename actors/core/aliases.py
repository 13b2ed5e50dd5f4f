"""Which customers were merged into others, so that new orders count for those."""

from collections.abc import Iterable

from actors.core.customer_queries import ANY_MERGED, MERGED_AMONG, with_values
from runtime.storage import Database

IDS_AT_ONCE = 500
MERCHANTS_MAX = 10_000


class Aliases:
    """Shared by those who merge customers and those who record orders.

    Most merchants have merged nobody: that is remembered, and costs no query.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._without: set[str] = set()

    def merged(self, merchant_id: str) -> None:
        """The merchant has merged customers from now on."""
        self._without.discard(merchant_id)

    async def resolve(self, merchant_id: str, customer_ids: Iterable[str]) -> dict[str, str]:
        """For each that was merged, the customer it is now."""
        if merchant_id in self._without:
            return {}
        if await self._database.fetch_value(ANY_MERGED, merchant_id) is None:
            if len(self._without) >= MERCHANTS_MAX:
                self._without.clear()
            self._without.add(merchant_id)
            return {}
        wanted = sorted(set(customer_ids))
        found: dict[str, str] = {}
        for start in range(0, len(wanted), IDS_AT_ONCE):
            some = wanted[start : start + IDS_AT_ONCE]
            query = with_values(MERGED_AMONG, len(some), 2)
            rows = await self._database.fetch(query, merchant_id, *some)
            found |= {row[0]: row[1] for row in rows}
        return found
