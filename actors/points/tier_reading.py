"""Between tiers and what the store has of them: what counts, programs, standings, changes."""

from datetime import datetime

import msgspec

from actors.points.messages import MAX_TIER_MEMBERS, ListTierMembers
from actors.points.records import rule_use_of
from actors.points.tier_messages import (
    Metric,
    Standing,
    TierChange,
    TierProgram,
    TierTerms,
)
from actors.points.tier_model import MemberTier, counts_from, place_of
from actors.points.tier_queries import LIST_TIER_MEMBERS, QUALIFYING_ORDERS, QUALIFYING_POINTS
from runtime.storage import Database, Row


async def find_qualifying(
    database: Database, merchant_id: str, customer_id: str, terms: TierTerms, now: datetime
) -> int:
    """What counts for a member now, in points or in minor units of money."""
    values = (merchant_id, customer_id, counts_from(terms.window, now), now)
    if terms.metric is Metric.POINTS:
        points: int = await database.fetch_value(QUALIFYING_POINTS, *values)
        return max(0, points)
    rows = await database.fetch(QUALIFYING_ORDERS, *values)
    return sum(_spent(row, terms.currency) for row in rows)


async def list_tier_members(database: Database, question: ListTierMembers) -> tuple[str, ...]:
    """Members of any of the tiers, by id."""
    tiers = sorted(set(question.tiers))
    if not tiers:
        return ()
    limit = max(1, min(question.limit, MAX_TIER_MEMBERS))
    places = ", ".join(f"${number}" for number in range(4, len(tiers) + 4))
    sql = LIST_TIER_MEMBERS.replace("{tiers}", places)
    rows = await database.fetch(sql, question.merchant_id, question.after, limit, *tiers)
    return tuple(row["customer_id"] for row in rows)


def program_of(version: int, program: object) -> TierProgram:
    return TierProgram(version, msgspec.convert(program, TierTerms))


def _spent(row: Row, currency: str | None) -> int:
    """The money of an order, in proportion to what is left of its points."""
    use = rule_use_of(row["rule"])
    if use.currency != currency:
        return 0
    amount, reversed_amount = int(row["amount"]), int(row["reversed"])
    return use.total_minor * max(0, amount + reversed_amount) // amount


def standing_of(
    customer_id: str,
    version: int,
    terms: TierTerms,
    member: MemberTier,
    qualifying: int,
    now: datetime,
) -> Standing:
    place = place_of(terms, member.tier_id)
    higher = terms.tiers[place + 1] if place + 1 < len(terms.tiers) else None
    has = terms.tiers[place] if member.tier_id is not None else None
    return Standing(
        customer_id=customer_id,
        tier=has,
        since=member.since if has is not None else None,
        kept_until=member.kept_until,
        metric=terms.metric,
        qualifying=qualifying,
        counts_from=counts_from(terms.window, now),
        next_tier=higher,
        missing=max(0, higher.threshold - qualifying) if higher is not None else 0,
        program_version=version,
        as_of=now,
    )


def change_of(row: Row) -> TierChange:
    return TierChange(
        customer_id=row["customer_id"],
        number=row["version"],
        from_tier=row["from_tier"],
        to_tier=row["to_tier"],
        qualifying=row["qualifying"],
        program_version=row["program_version"],
        changed_at=row["changed_at"],
    )
