"""Orders that core records, and the points that follow them through the outbox."""

from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Any, ClassVar

import attrs

from actors.core.messages import (
    CUSTOMERS,
    ORDER_RECORDED,
    ORDERS,
    CreateCustomer,
    CreatedCustomer,
    Order,
    OrderResult,
    RecordOrders,
)
from actors.vocabulary import Idempotency, Refusal
from runtime.sim import Operation, Run
from runtime.storage import Entry
from runtime.storage.outbox import INSERT_EVENT
from supervisors.simulation.ledger import check_ledger, one_each
from supervisors.simulation.parts import (
    CURRENCY,
    CUSTOMERS_THERE,
    MERCHANT,
    OF_OTHER_PARTS,
    PASSERS_BY,
    ApplicationScenario,
    Part,
)

EARNED = (
    "SELECT t.order_id, t.customer_id, t.amount, t.sequence FROM points_transactions t"
    " WHERE t.merchant_id = $1 AND t.kind = 'earn' AND t.business_key IS NOT NULL"
    " ORDER BY t.customer_id, t.sequence"
)
RECORDED = "SELECT order_id, total_minor FROM orders WHERE merchant_id = $1"
SELECT_CUSTOMERS = "SELECT customer_id FROM customers WHERE merchant_id = $1"
PUT_BACK = "event_put_back"

MINOR_PER_POINT = 100
TOTALS = (0, 99, 100, 1_250, 99_999)


@attrs.frozen
class Record(Operation):
    """Record new orders, and as many that were recorded, or are being recorded, before."""

    customers: tuple[str, ...]
    totals_minor: tuple[int, ...]
    again: int
    pick: float

    def __str__(self) -> str:
        orders = ", ".join(map(str, zip(self.customers, self.totals_minor, strict=True)))
        return f"record {orders}" + (f" and {self.again} again" if self.again else "")


@attrs.frozen
class Create(Operation):
    """Create a customer, with an id of the client's or without."""

    named: bool

    def __str__(self) -> str:
        return "create a customer" + (" by name" if self.named else "")


@attrs.frozen
class Published:
    """Of an event: the number of its commit, and its id."""

    commit: int
    event_id: str


class Orders(Part):
    """Clients that create customers and record orders, often the same ones twice."""

    operations: ClassVar[tuple[type[Operation], ...]] = (Record, Create)

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.created: dict[str, str] = {}
        self.recorded: set[str] = set()
        self.published: dict[str, Published] = {}
        self._commits = 0

    async def prepare(self, run: Run) -> None:
        run.world.store.committed.append(self._note_events)

    def _note_events(self, entries: Sequence[Entry]) -> None:
        self._commits += 1
        for entry in entries:
            for write in entry:
                if write.statement is INSERT_EVENT and write.row[2] == ORDER_RECORDED:
                    event_id, payload = write.row[1], write.row[4]
                    self.published[payload["order_id"]] = Published(self._commits, event_id)

    def draw(self, random: Random) -> Operation:
        if random.random() < 0.2:
            return Create(random.random() < 0.5)
        number = random.choice((1, 1, 2, 5))
        customers = tuple(random.choice(CUSTOMERS_THERE) for _ in range(number))
        totals = tuple(random.choice(TOTALS) for _ in range(number))
        return Record(customers, totals, random.choice((0, 0, 1, 2)), random.uniform(0.0, 1.0))

    async def perform(self, run: Run, operation: Operation) -> None:
        match operation:
            case Record():
                await self._record(run, operation)
            case Create(named):
                await self._create(run, named)

    async def _create(self, run: Run, named: bool) -> None:
        number = len(self.created) + 1
        key = f"create-{number}"
        self.created[key] = ""
        wanted = f"customer-{number}" if named else None
        message = CreateCustomer(MERCHANT, wanted, None, Idempotency(key, key))
        answer = await run.until_answered(lambda system: system.ref(CUSTOMERS).ask(message))
        if answer is not None:
            right = isinstance(answer, CreatedCustomer)
            run.findings.check(right, "right answers", f"{key}: {answer}")
        if isinstance(answer, CreatedCustomer):
            self.created[key] = answer.customer.customer_id

    async def _record(self, run: Run, operation: Record) -> None:
        orders = self._orders(run, operation)
        message = RecordOrders(MERCHANT, orders)
        results = await run.until_answered(lambda system: system.ref(ORDERS).ask(message))
        for order, result in zip(orders, results or (), strict=False):
            self._note(run, order, result)

    def _orders(self, run: Run, operation: Record) -> tuple[Order, ...]:
        ordered_at = run.world.clock.start - timedelta(days=1)
        known = list(self.orders.values())
        new = []
        for customer, total in zip(operation.customers, operation.totals_minor, strict=True):
            order_id = f"order-{len(self.orders) + 1}"
            order = Order(order_id, customer, ordered_at, CURRENCY, total, 1)
            self.orders[order_id] = order
            new.append(order)
        first = int(operation.pick * len(known))
        return (*new, *known[first : first + operation.again])

    def _note(self, run: Run, order: Order, result: OrderResult | Refusal) -> None:
        right = isinstance(result, OrderResult) and result.order == order
        run.findings.check(right, "right answers", f"{order.order_id}: {result}")
        if right:
            self.recorded.add(order.order_id)

    async def check(self, run: Run) -> None:
        await check_ledger(run)
        store = run.world.store.real
        there = {row[0]: row[1] for row in await store.fetch(RECORDED, MERCHANT)}
        for order_id in sorted(self.recorded):
            run.findings.check(order_id in there, "nothing is lost", f"{order_id} is not there")
        rows = await store.fetch(EARNED, MERCHANT)
        for order_id in one_each(rows, "order_id"):
            run.findings.add("no double effect", f"{order_id} earned twice")
        earned = {row["order_id"]: row["amount"] for row in rows}
        for order_id, total_minor in sorted(there.items()):
            points = total_minor // MINOR_PER_POINT
            got = earned.get(order_id, 0)
            detail = f"{order_id} earned {got} points instead of {points}"
            run.findings.check(got == points, "every event has its effect", detail)
        self._check_order(run, rows)
        await self._check_created(run)

    async def _check_created(self, run: Run) -> None:
        rows = await run.world.store.real.fetch(SELECT_CUSTOMERS, MERCHANT)
        there = {row[0] for row in rows} - {*CUSTOMERS_THERE, *OF_OTHER_PARTS}
        there = {customer for customer in there if not customer.startswith(PASSERS_BY)}
        told = {customer_id for customer_id in self.created.values() if customer_id}
        run.findings.check(told <= there, "nothing is lost", f"created {told}, there are {there}")
        twice = len(there) > len(self.created)
        run.findings.check(not twice, "no double effect", f"{len(there)} customers were created")

    def _check_order(self, run: Run, rows: Sequence[Any]) -> None:
        """Of two events of a customer, the one that was there first and has the lower id comes
        first, unless one of them was set aside and put back. A refund may bring its order's points
        forward."""
        if run.world.trace.logged[PUT_BACK]:
            return
        last: dict[str, tuple[str, Published]] = {}
        for row in rows:
            order_id, customer = row["order_id"], row["customer_id"]
            if customer in OF_OTHER_PARTS:
                continue
            published = self.published[order_id]
            if customer in last:
                other_id, other = last[customer]
                behind = published.commit < other.commit and published.event_id < other.event_id
                detail = f"{order_id} of {customer} took effect after {other_id}"
                run.findings.check(not behind, "order of events", detail)
            last[customer] = (order_id, published)


class OrdersScenario(ApplicationScenario):
    """Orders alone, and what follows them."""

    name = "orders"
    parts = (Orders,)
