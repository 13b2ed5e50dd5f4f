"""Subscription plans between their table and their values."""

from collections.abc import Iterable

from actors.paging import clamp_limit, decode_cursor, page
from actors.products.messages import Interval, ListPlans, SubscriptionPlan
from actors.products.queries import LIST_PLANS, SELECT_PLANS, with_values
from actors.vocabulary import Page, Refusal
from runtime.storage import Database, Row

PLANS_AT_ONCE = 500


async def load_plans(
    database: Database, merchant_id: str, plan_ids: Iterable[str]
) -> dict[str, SubscriptionPlan]:
    """Those that exist, by id."""
    wanted = sorted(set(plan_ids))
    found: dict[str, SubscriptionPlan] = {}
    for start in range(0, len(wanted), PLANS_AT_ONCE):
        some = wanted[start : start + PLANS_AT_ONCE]
        query = with_values(SELECT_PLANS, len(some), 2)
        rows = await database.fetch(query, merchant_id, *some)
        found |= {row[0]: plan_of(row) for row in rows}
    return found


async def list_plans(database: Database, message: ListPlans) -> Page[SubscriptionPlan] | Refusal:
    """One page, in the order of their ids."""
    limit = clamp_limit(message.limit)
    after = decode_cursor(message.cursor, tuple[str], ("",))
    if isinstance(after, Refusal):
        return after
    rows = await database.fetch(LIST_PLANS, message.merchant_id, *after, limit + 1)
    return page(rows, limit, plan_of, lambda row: [row["plan_id"]])


def plan_of(row: Row) -> SubscriptionPlan:
    return SubscriptionPlan(
        plan_id=row[0],
        sku=row[1],
        name=row[2],
        interval=Interval(row[3]),
        interval_count=row[4],
        trial_days=row[5],
        pause_days_max=row[6],
        source_version=row[7],
    )
