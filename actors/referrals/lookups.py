"""What the domain asks its own tables and core, for those who decide."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import attrs

from actors.core.messages import (
    CONTACTS,
    MERCHANTS,
    Customer,
    FingerprintSignals,
    GetCustomer,
    GetFingerprints,
    GetMerchant,
    GetSettings,
    ListOrders,
)
from actors.core.messages import QUERIES as CORE_QUERIES
from actors.referrals.messages import ProgramVersion
from actors.referrals.model import link_to
from actors.referrals.queries import (
    AMONG_MAX,
    SELECT_BY_CODE,
    SELECT_BY_ORDER,
    SELECT_COUNT,
    SELECT_FRIENDS_AMONG,
    SELECT_INVITED_BY,
    SELECT_LINK,
    SELECT_LINK_BY_CODE,
    SELECT_LIVE_BY_KEY,
    SELECT_OF_FRIEND,
    SELECT_PROGRAM,
    SELECT_REFERRAL,
)
from actors.referrals.records import Stored, StoredLink, link_of, program_of, referral_of
from actors.vocabulary import Refusal, RefusalKind
from runtime.storage import Database
from runtime.system import ActorSystem

ALIASES_MAX = 5
"""Customers who were merged into each other, one after another."""


@attrs.frozen
class Lookups:
    """Raises what asks and the database do."""

    system: ActorSystem
    database: Database

    async def program(self, merchant_id: str) -> ProgramVersion:
        return program_of(await self.database.fetch_row(SELECT_PROGRAM, merchant_id))

    async def referral(self, merchant_id: str, referral_id: str) -> Stored | None:
        return await self._one(SELECT_REFERRAL, merchant_id, referral_id)

    async def by_code(self, merchant_id: str, code: str) -> Stored | None:
        return await self._one(SELECT_BY_CODE, merchant_id, code)

    async def live_by_key(self, merchant_id: str, friend_key: str) -> Stored | None:
        return await self._one(SELECT_LIVE_BY_KEY, merchant_id, friend_key)

    async def invited_by(
        self, merchant_id: str, advocate_id: str, friend_key: str, now: datetime
    ) -> Stored | None:
        """The one that an advocate has for this person, or seems to have."""
        return await self._one(SELECT_INVITED_BY, merchant_id, advocate_id, friend_key, now)

    async def of_friend(self, merchant_id: str, friend_id: str) -> Stored | None:
        """The one that this customer came by, live or rewarded."""
        return await self._one(SELECT_OF_FRIEND, merchant_id, friend_id)

    async def friends_among(self, merchant_id: str, customer_ids: Iterable[str]) -> set[str]:
        """Those who came by a referral, live or rewarded."""
        wanted, found = sorted(set(customer_ids)), set()
        places = ", ".join(f"${number}" for number in range(2, AMONG_MAX + 2))
        sql = SELECT_FRIENDS_AMONG.replace("{ids}", places)
        for start in range(0, len(wanted), AMONG_MAX):
            some = wanted[start : start + AMONG_MAX]
            same_length = some + some[-1:] * (AMONG_MAX - len(some))
            rows = await self.database.fetch(sql, merchant_id, *same_length)
            found |= {row[0] for row in rows}
        return found

    async def by_order(self, merchant_id: str, order_id: str) -> Stored | None:
        """The one that this order has qualified."""
        return await self._one(SELECT_BY_ORDER, merchant_id, order_id)

    async def _one(self, sql: str, *values: Any) -> Stored | None:
        row = await self.database.fetch_row(sql, *values)
        return referral_of(row) if row is not None else None

    async def link_of(self, merchant_id: str, advocate_id: str) -> StoredLink | None:
        row = await self.database.fetch_row(SELECT_LINK, merchant_id, advocate_id)
        return link_of(row) if row is not None else None

    async def link_by_code(self, merchant_id: str, code: str) -> StoredLink | None:
        row = await self.database.fetch_row(SELECT_LINK_BY_CODE, merchant_id, code)
        return link_of(row) if row is not None else None

    async def used(self, merchant_id: str, day: str, what: str, who: str) -> int:
        found = await self.database.fetch_value(SELECT_COUNT, merchant_id, day, what, who)
        return int(found or 0)

    async def customer(self, merchant_id: str, customer_id: str) -> Customer | Refusal:
        """The customer, or the one that it was merged into."""
        for _ in range(ALIASES_MAX):
            question = GetCustomer(merchant_id, customer_id)
            found = await self.system.ref(CORE_QUERIES).ask(question)
            if found is None or found.erased_at is not None:
                break
            if found.merged_into is None:
                return found
            customer_id = found.merged_into
        detail = f"there is no customer {customer_id[:64]}"
        return Refusal(RefusalKind.NOT_FOUND, "customer_unknown", detail)

    async def has_ordered(self, merchant_id: str, customer_id: str) -> bool:
        question = ListOrders(merchant_id, customer_id, 1)
        found = await self.system.ref(CORE_QUERIES).ask(question)
        return not isinstance(found, Refusal) and bool(found.items)

    async def fingerprints(self, merchant_id: str, customer_id: str) -> tuple[str, ...]:
        question = GetFingerprints(merchant_id, customer_id)
        return await self.system.ref(CONTACTS).ask(question)

    async def signals(self, merchant_id: str, told: Mapping[str, str]) -> dict[str, str]:
        """Fingerprints of the signals by kind."""
        if not told:
            return {}
        kinds = sorted(told)
        texts = tuple(f"{kind}:{told[kind]}" for kind in kinds)
        found = await self.system.ref(CONTACTS).ask(FingerprintSignals(merchant_id, texts))
        return dict(zip(kinds, found, strict=True))

    async def link(self, merchant_id: str, program: ProgramVersion, code: str) -> str | None:
        """What the friend is to follow."""
        website = None
        if program.program.landing_url is None:
            chosen = await self.system.ref(MERCHANTS).ask(GetSettings(merchant_id))
            website = chosen.settings.website
        return link_to(program.program, website, code)

    async def shop_name(self, merchant_id: str) -> str:
        merchant = await self.system.ref(MERCHANTS).ask(GetMerchant(merchant_id))
        return merchant.name if merchant is not None else merchant_id
