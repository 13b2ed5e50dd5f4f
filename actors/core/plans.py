"""Plans: how much a merchant may keep and record, and when it is warned."""

from datetime import UTC, datetime

import attrs

from actors.core.messages import Plan, Quota, QuotaState
from actors.vocabulary import Refusal, RefusalKind

WARNING_SHARE = 0.8

CUSTOMERS_QUOTA = "customers"
ORDERS_QUOTA = "orders_this_month"


@attrs.frozen
class PlanLimits:
    """None: no limit. Orders count in the month, in UTC, in which they are recorded."""

    customers: int | None
    orders_a_month: int | None


LIMITS = {
    Plan.STARTER: PlanLimits(1_000, 2_000),
    Plan.GROWTH: PlanLimits(50_000, 100_000),
    Plan.SCALE: PlanLimits(1_000_000, 2_000_000),
    Plan.UNLIMITED: PlanLimits(None, None),
}

PLAN_WITHOUT_SUBSCRIPTION = Plan.UNLIMITED
"""Whoever runs LoyalNest for itself subscribed to nothing."""


def state_of(used: int, limit: int | None) -> QuotaState:
    if limit is None or used < WARNING_SHARE * limit:
        return QuotaState.OK
    return QuotaState.WARNING if used < limit else QuotaState.STOPPED


def quota(name: str, used: int, limit: int | None) -> Quota:
    return Quota(name, used, limit, state_of(used, limit))


def exceeded(name: str, limit: int) -> Refusal:
    what = name.replace("_", " ")
    detail = f"the plan allows {limit} {what}; nothing was changed"
    return Refusal(RefusalKind.CONFLICT, "plan_quota_exceeded", detail)


def month_of(moment: datetime) -> datetime:
    """The beginning of its month in UTC."""
    utc = moment.astimezone(UTC)
    return utc.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
