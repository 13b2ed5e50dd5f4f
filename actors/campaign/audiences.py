"""Who belongs to an audience, a chunk at a time."""

from collections.abc import Sequence
from datetime import datetime

import attrs

from actors.campaign.messages import (
    Attribute,
    Audience,
    AudienceKind,
    Campaign,
    Comparison,
    Condition,
)
from actors.campaign.segments import SegmentSource
from actors.core.messages import QUERIES as CORE_QUERIES
from actors.core.messages import CustomerFigures, FindCustomers, ListFigures
from actors.points.messages import QUERIES as POINTS_QUERIES
from actors.points.messages import ListTierMembers
from runtime.system import ActorSystem

CHUNK = 250
"""Customers looked at in one step: some milliseconds of the database."""


@attrs.frozen
class Chunk:
    """Members found, and where to go on: after the customer or the place `after`; `last` is the
    end."""

    members: tuple[str, ...]
    after: str
    last: bool


@attrs.frozen
class AudienceReader:
    """Reads audiences on behalf of `system`. `as_of` is what days are counted to."""

    system: ActorSystem
    segments: SegmentSource

    async def chunk(
        self, merchant_id: str, campaign: Campaign, after: str, as_of: datetime
    ) -> Chunk:
        """The next members. Raises errors of asks and of the store, and `SegmentsGone`."""
        audience = campaign.definition.audience
        match audience.kind:
            case AudienceKind.SEGMENT:
                return await self._segment(merchant_id, campaign, after)
            case AudienceKind.TIER:
                return await self._tier(merchant_id, audience, after)
            case AudienceKind.LIST:
                return await self._list(merchant_id, audience, after)
        return await self._filter(merchant_id, audience, after, as_of)

    async def _segment(self, merchant_id: str, campaign: Campaign, after: str) -> Chunk:
        run_id = campaign.audience.source_run or ""
        names = campaign.definition.audience.names
        members, following = await self.segments.members(
            self.system, merchant_id, run_id, names, after
        )
        return Chunk(members, following or after, following is None)

    async def _tier(self, merchant_id: str, audience: Audience, after: str) -> Chunk:
        question = ListTierMembers(merchant_id, audience.names, after, CHUNK)
        members = await self.system.ref(POINTS_QUERIES).ask(question)
        return Chunk(members, members[-1] if members else after, len(members) < CHUNK)

    async def _list(self, merchant_id: str, audience: Audience, after: str) -> Chunk:
        """Those listed who exist, in the order of their ids."""
        names = sorted(name for name in audience.names if name > after)[:CHUNK]
        found: Sequence[str] = ()
        if names:
            question = FindCustomers(merchant_id, tuple(names))
            found = await self.system.ref(CORE_QUERIES).ask(question)
        return Chunk(tuple(found), names[-1] if names else after, len(names) < CHUNK)

    async def _filter(
        self, merchant_id: str, audience: Audience, after: str, as_of: datetime
    ) -> Chunk:
        question = ListFigures(merchant_id, after, CHUNK)
        looked_at = await self.system.ref(CORE_QUERIES).ask(question)
        members = [one for one in looked_at if meets(one, audience.conditions, as_of)]
        return Chunk(
            tuple(one.customer_id for one in members),
            looked_at[-1].customer_id if looked_at else after,
            len(looked_at) < CHUNK,
        )


def meets(customer: CustomerFigures, conditions: Sequence[Condition], as_of: datetime) -> bool:
    """Whether all conditions hold. Who never ordered meets none on the days since an order."""
    return all(_holds(customer, condition, as_of) for condition in conditions)


def _holds(customer: CustomerFigures, condition: Condition, as_of: datetime) -> bool:
    value = _value(customer, condition.attribute, as_of)
    if value is None:
        return False
    if condition.comparison is Comparison.AT_LEAST:
        return value >= condition.value
    return value <= condition.value


def _value(customer: CustomerFigures, attribute: Attribute, as_of: datetime) -> int | None:
    match attribute:
        case Attribute.ORDERS:
            return customer.orders
        case Attribute.SPEND_MINOR:
            return customer.spend_minor
        case Attribute.DAYS_SINCE_CREATED:
            return (as_of - customer.created_at).days
        case Attribute.DAYS_SINCE_ORDER:
            last = customer.last_ordered_at
            return (as_of - last).days if last is not None else None
