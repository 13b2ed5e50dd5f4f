"""Customers as they are stored and cached: contacts stay sealed until somebody is answered."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

import attrs

from actors.core.cipher import Sealed, Vault
from actors.core.contacts import ContactKind
from actors.core.customer_queries import OF_CUSTOMERS, with_values
from actors.core.messages import Channel, Consent, Customer, ExternalId
from runtime.cache import Cached, CacheHandle, Kind
from runtime.storage import Database, Row

IDS_AT_ONCE = 500

CUSTOMER_KIND = Kind(
    "core.customer", shared_ttl_s=3.0, local_ttl_s=2.0, blind_ttl_s=1.0, copies_max=20_000
)
"""A change is seen within 5 s, should every notice of it be lost."""


@attrs.frozen
class StoredContact:
    """`index` is the blind index, by which contacts are compared."""

    kind: ContactKind
    text: str
    version: int
    index: str

    @property
    def sealed(self) -> Sealed:
        return Sealed(self.text, self.version)


@attrs.frozen
class StoredCustomer:
    """Everything about a customer, in the order of kinds, sources and channels."""

    merchant_id: str
    customer_id: str
    display_name: str | None = attrs.field(repr=False)
    created_at: datetime
    merged_into: str | None = None
    erased_at: datetime | None = None
    contacts: tuple[StoredContact, ...] = ()
    external_ids: tuple[ExternalId, ...] = ()
    consents: tuple[Consent, ...] = ()

    def contact(self, kind: ContactKind) -> StoredContact | None:
        return next((contact for contact in self.contacts if contact.kind is kind), None)

    def consent(self, channel: Channel) -> Consent | None:
        return next((consent for consent in self.consents if consent.channel is channel), None)

    def opened(self, vault: Vault) -> Customer:
        """The customer with its address and number. Raises `Unsealable`."""
        texts = {
            contact.kind: vault.open(self.merchant_id, contact.kind.value, contact.sealed)
            for contact in self.contacts
        }
        return Customer(
            self.merchant_id,
            self.customer_id,
            self.display_name,
            self.created_at,
            texts.get(ContactKind.EMAIL),
            texts.get(ContactKind.PHONE),
            self.external_ids,
            self.consents,
            self.merged_into,
            self.erased_at,
        )


CachedCustomers = Cached[StoredCustomer]


class CustomerUnknown(Exception):
    """There is no such customer, now: nothing that is kept."""


def cached_customers(cache: CacheHandle) -> CachedCustomers:
    """One for all actors of the domain, so that who writes a customer reads it back."""
    return Cached(CUSTOMER_KIND, StoredCustomer, cache)


def cache_key(merchant_id: str, customer_id: str) -> str:
    return f"{merchant_id}:{customer_id}"


async def cached_customer(
    cached: CachedCustomers, database: Database, merchant_id: str, customer_id: str
) -> StoredCustomer | None:
    """From the cache, or the database. That there is no such customer is never cached."""

    async def load() -> StoredCustomer:
        found = await load_customers(database, merchant_id, (customer_id,))
        if customer_id not in found:
            raise CustomerUnknown(customer_id)
        return found[customer_id]

    try:
        return await cached.get(cache_key(merchant_id, customer_id), load)
    except CustomerUnknown:
        return None


async def load_customers(
    database: Database, merchant_id: str, customer_ids: Iterable[str]
) -> dict[str, StoredCustomer]:
    """Those that exist, by id, as the database has them."""
    wanted = sorted(set(customer_ids))
    found: dict[str, StoredCustomer] = {}
    for start in range(0, len(wanted), IDS_AT_ONCE):
        some = wanted[start : start + IDS_AT_ONCE]
        queries = [(with_values(sql, len(some), 2), (merchant_id, *some)) for sql in OF_CUSTOMERS]
        found |= _customers(*await database.fetch_many(queries))
    return found


def _customers(
    rows: Sequence[Row], contacts: Sequence[Row], externals: Sequence[Row], consents: Sequence[Row]
) -> dict[str, StoredCustomer]:
    contacts_of, externals_of, consents_of = map(_by_customer, (contacts, externals, consents))
    return {
        row[1]: StoredCustomer(
            row[0],
            row[1],
            row[2],
            row[3],
            row[4],
            row[5],
            tuple(StoredContact(ContactKind(c[1]), *c[2:]) for c in contacts_of[row[1]]),
            tuple(ExternalId(*e[1:]) for e in externals_of[row[1]]),
            tuple(Consent(Channel(c[1]), *c[2:]) for c in consents_of[row[1]]),
        )
        for row in rows
    }


def _by_customer(rows: Iterable[Row]) -> dict[str, list[tuple[Any, ...]]]:
    grouped: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for row in sorted(map(tuple, rows), key=itemgetter(0, 1, 2)):
        grouped[row[0]].append(row)
    return grouped
