"""How much of its plan each merchant has used, kept in memory and counted now and then."""

from collections import OrderedDict
from datetime import datetime

import attrs
import structlog

from actors.core.customer_queries import COUNT_CUSTOMERS
from actors.core.messages import Plan, PlanUsage, QuotaState
from actors.core.plans import (
    CUSTOMERS_QUOTA,
    LIMITS,
    ORDERS_QUOTA,
    PLAN_WITHOUT_SUBSCRIPTION,
    PlanLimits,
    exceeded,
    month_of,
    quota,
    state_of,
)
from actors.core.queries import COUNT_ORDERS_SINCE, SELECT_PLAN
from actors.vocabulary import Refusal
from runtime.parking import monotonic
from runtime.storage import Database

log = structlog.get_logger("loyalnest.core")

COUNTED_S = 60.0
"""So long a count holds, to which this process adds what it writes itself. What other processes
write meanwhile may exceed a limit by that much."""

MERCHANTS_MAX = 10_000


@attrs.define
class Room:
    """What is left for one merchant at a moment; taken from as things are decided."""

    limits: PlanLimits
    customers: int
    orders: int
    month: datetime
    counted_at: float

    @property
    def unlimited(self) -> bool:
        return self.limits.customers is None and self.limits.orders_a_month is None

    def take_customer(self) -> Refusal | None:
        """Room for one more customer, or why there is none."""
        limit = self.limits.customers
        if limit is not None and self.customers >= limit:
            return exceeded(CUSTOMERS_QUOTA, limit)
        self.customers += 1
        return None

    def take_customers(self, count: int) -> bool:
        """Room for so many more customers, if there is room for all of them."""
        limit = self.limits.customers
        if limit is not None and self.customers + count > limit:
            return False
        self.customers += count
        return True

    def take_order(self) -> Refusal | None:
        """Room for one more order, or why there is none."""
        limit = self.limits.orders_a_month
        if limit is not None and self.orders >= limit:
            return exceeded(ORDERS_QUOTA, limit)
        self.orders += 1
        return None


class Quotas:
    """Shared by those who write customers and orders. Raises what the database does."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rooms: OrderedDict[str, Room] = OrderedDict()

    async def room(self, merchant_id: str, now: datetime) -> Room:
        """A copy to take from. `keep` it once what was taken is durable."""
        known = self._rooms.get(merchant_id)
        fresh = known is not None and monotonic() - known.counted_at < COUNTED_S
        if known is None or not fresh or known.month != month_of(now):
            known = await self._counted(merchant_id, now)
            self._remember(merchant_id, known)
        return attrs.evolve(known)

    def keep(self, merchant_id: str, room: Room) -> None:
        """What was taken from this room is there now."""
        before = self._rooms.get(merchant_id)
        if before is None or room.unlimited:
            return
        self._remember(merchant_id, room)
        for name, old, new, limit in (
            (CUSTOMERS_QUOTA, before.customers, room.customers, room.limits.customers),
            (ORDERS_QUOTA, before.orders, room.orders, room.limits.orders_a_month),
        ):
            state = state_of(new, limit)
            if state is not QuotaState.OK and state is not state_of(old, limit):
                log.warning(
                    "plan_quota", merchant=merchant_id, quota=name, state=state.value, used=new
                )

    def forget(self, merchant_id: str) -> None:
        """The plan is another one now."""
        self._rooms.pop(merchant_id, None)

    def _remember(self, merchant_id: str, room: Room) -> None:
        self._rooms[merchant_id] = room
        self._rooms.move_to_end(merchant_id)
        while len(self._rooms) > MERCHANTS_MAX:
            self._rooms.popitem(last=False)

    async def _counted(self, merchant_id: str, now: datetime) -> Room:
        plan, _ = await plan_in_force(self._database, merchant_id, now)
        limits, month = LIMITS[plan], month_of(now)
        customers = orders = 0
        if limits.customers is not None or limits.orders_a_month is not None:
            customers, orders = await counts(self._database, merchant_id, month)
        return Room(limits, customers, orders, month, monotonic())


async def plan_in_force(
    database: Database, merchant_id: str, now: datetime
) -> tuple[Plan, datetime | None]:
    """The plan, and since when; None where nothing was subscribed to."""
    row = await database.fetch_row(SELECT_PLAN, merchant_id, now)
    return (Plan(row[0]), row[1]) if row is not None else (PLAN_WITHOUT_SUBSCRIPTION, None)


async def counts(database: Database, merchant_id: str, month: datetime) -> tuple[int, int]:
    """Customers, and orders recorded since the beginning of the month."""
    customers, orders = await database.fetch_many(
        [(COUNT_CUSTOMERS, (merchant_id,)), (COUNT_ORDERS_SINCE, (merchant_id, month))]
    )
    return customers[0][0], orders[0][0]


async def plan_usage(database: Database, merchant_id: str, now: datetime) -> PlanUsage:
    """The plan and how much of it is used, counted now."""
    plan, since = await plan_in_force(database, merchant_id, now)
    limits = LIMITS[plan]
    customers, orders = await counts(database, merchant_id, month_of(now))
    return PlanUsage(
        plan,
        since,
        (
            quota(CUSTOMERS_QUOTA, customers, limits.customers),
            quota(ORDERS_QUOTA, orders, limits.orders_a_month),
        ),
    )
