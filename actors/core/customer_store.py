"""What the writer of customers asks the database, and how it hands over what it decided."""

from collections import defaultdict
from collections.abc import Collection, Iterable

import attrs

from actors.core.aliases import Aliases
from actors.core.cipher import Sealed, Vault
from actors.core.contacts import ContactKind
from actors.core.customer_changes import Changer, Claim, Owners, claim_of
from actors.core.customer_queries import (
    CONTACT_OWNERS,
    EXTERNAL_OWNERS,
    SELECT_MERGED_INTO,
    SELECT_REASONS,
    with_values,
)
from actors.core.messages import ExternalId
from actors.core.profiles import (
    IDS_AT_ONCE,
    CachedCustomers,
    StoredCustomer,
    cache_key,
    load_customers,
)
from runtime.journal import JOURNAL, Append, Rejected
from runtime.ref import ask_all
from runtime.storage import Database, Entry, Query
from runtime.system import ActorSystem


@attrs.frozen
class CustomerStore:
    """Looks things up, and has what was written forgotten by the caches.

    Raises what the database and the journal do.
    """

    database: Database
    vault: Vault
    cached: CachedCustomers
    aliases: Aliases

    async def load(self, merchant_id: str, ids: Iterable[str]) -> dict[str, StoredCustomer]:
        return await load_customers(self.database, merchant_id, ids)

    async def owners(self, merchant_id: str, claims: Iterable[Claim]) -> Owners:
        """Who has what of `claims`."""
        by_kind: dict[str, set[str]] = defaultdict(set)
        for kind, value in claims:
            by_kind[kind].add(value)
        kinds: list[str] = []
        queries: list[Query] = []
        for kind, values in by_kind.items():
            wanted = sorted(values)
            sql, name = _owners_query(kind)
            for start in range(0, len(wanted), IDS_AT_ONCE):
                some = wanted[start : start + IDS_AT_ONCE]
                kinds.append(kind)
                queries.append((with_values(sql, len(some), 3), (merchant_id, name, *some)))
        results = await self.database.fetch_many(queries) if queries else []
        return {
            (kind, row[1]): row[2]
            for kind, rows in zip(kinds, results, strict=True)
            for row in rows
        }

    async def owners_of(self, merchant_id: str, ids: Iterable[ExternalId]) -> Owners:
        return await self.owners(merchant_id, map(claim_of, ids))

    async def merged_into(self, merchant_id: str, customer_id: str) -> list[str]:
        rows = await self.database.fetch(SELECT_MERGED_INTO, merchant_id, customer_id)
        return [row[0] for row in rows]

    async def told_reasons(self, merchant_id: str, ids: Iterable[str]) -> list[tuple[str, str]]:
        """Orders and refunds of these customers for which somebody wrote down a reason."""
        wanted = sorted(ids)
        query = with_values(SELECT_REASONS, len(wanted), 2)
        return [(row[0], row[1]) for row in await self.database.fetch(query, merchant_id, *wanted)]

    def changer(self, system: ActorSystem, owners: Owners, origin: str) -> Changer:
        def seal(merchant_id: str, purpose: str, text: str) -> Sealed:
            return self.vault.seal(merchant_id, purpose, text, system.random)

        return Changer(seal, owners, system.clock.now(), origin)

    async def append(
        self,
        system: ActorSystem,
        entry: Entry,
        merchant_id: str,
        ids: Collection[str],
        *,
        publishes: bool = False,
    ) -> Rejected | None:
        """Write; the caches forget `ids`, whose entry was written, or may have been."""
        append = Append(entry, publishes)
        (answer,) = await self.append_all(system, [append], merchant_id, ids)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def append_all(
        self,
        system: ActorSystem,
        appends: Iterable[Append],
        merchant_id: str,
        ids: Collection[str],
    ) -> list[Rejected | Exception | None]:
        """Write each on its own, in this order. The caches forget `ids` as those of `append`, when
        all have been written, or may have been."""
        journal = system.ref(JOURNAL)
        try:
            return await ask_all([(journal, append) for append in appends])
        finally:
            if ids:
                await self.cached.outdate(*(cache_key(merchant_id, each) for each in ids))


def _owners_query(kind: str) -> tuple[str, str]:
    """The query for owners of a kind of claim, and the value that names the kind there."""
    if kind in {each.value for each in ContactKind}:
        return CONTACT_OWNERS, kind
    return EXTERNAL_OWNERS, kind.removeprefix("id ")
