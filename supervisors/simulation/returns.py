"""Orders that are taken back, in part or whole, by refunds and cancellations, and their points."""

from datetime import timedelta
from random import Random
from typing import ClassVar

import attrs

from actors.core.messages import (
    ORDERS,
    CancelOrder,
    Order,
    RecordOrders,
    Refund,
    RefundOrder,
)
from actors.vocabulary import Refusal
from runtime.sim import Operation, Run
from supervisors.simulation.ledger import check_ledger
from supervisors.simulation.parts import CURRENCY, MERCHANT, RETURNER, ApplicationScenario, Part

BALANCE = "SELECT member FROM points_accounts WHERE merchant_id = $1 AND customer_id = $2"
TOTALS = (99, 10_000, 33_333)
MINOR_PER_POINT = 100


@attrs.frozen
class Return(Operation):
    """Order, and give back these shares of the total (in percent), then perhaps cancel."""

    total_minor: int
    shares: tuple[int, ...]
    cancel: bool

    def __str__(self) -> str:
        shares = ", ".join(f"{share}%" for share in self.shares)
        return f"order {self.total_minor}, give back {shares or 'nothing'}" + (
            ", cancel" if self.cancel else ""
        )


class Returns(Part):
    """Each client waits for every answer, so that it knows what came of its own order."""

    operations: ClassVar[tuple[type[Operation], ...]] = (Return,)

    def __init__(self) -> None:
        self.orders = 0
        self.left: dict[str, int] = {}
        self.in_doubt = False

    def draw(self, random: Random) -> Operation:
        shares = tuple(random.choice((7, 20, 33)) for _ in range(random.choice((0, 1, 3))))
        return Return(random.choice(TOTALS), shares, random.random() < 0.3)

    async def perform(self, run: Run, operation: Operation) -> None:
        assert isinstance(operation, Return)  # noqa: S101 - the only one there is
        self.orders += 1
        order_id, at = f"return-{self.orders}", run.world.clock.start - timedelta(days=1)
        total = operation.total_minor
        order = Order(order_id, RETURNER, at, CURRENCY, total, 1)
        await self._ask(run, RecordOrders(MERCHANT, (order,)))
        refunded = 0
        for number, share in enumerate(operation.shares):
            amount = total * share // 100
            refund = Refund(order_id, f"refund-{number}", amount, at)
            await self._ask(run, RefundOrder(MERCHANT, refund))
            refunded += amount
        if operation.cancel:
            await self._ask(run, CancelOrder(MERCHANT, order_id, at))
            refunded = total
        earned = total // MINOR_PER_POINT
        self.left[order_id] = earned * (total - refunded) // total

    async def _ask(self, run: Run, message: RecordOrders | RefundOrder | CancelOrder) -> None:
        answer = await run.until_answered(lambda system: system.ref(ORDERS).ask(message))
        if answer is None:
            self.in_doubt = True
            return
        results = answer if isinstance(answer, tuple) else (answer,)
        for result in results:
            right = not isinstance(result, Refusal)
            run.findings.check(right, "right answers", f"{message}: {result}")

    async def check(self, run: Run) -> None:
        await check_ledger(run)
        if self.in_doubt:
            return
        got = await run.world.store.real.fetch_value(BALANCE, MERCHANT, RETURNER) or 0
        wanted = sum(self.left.values())
        detail = f"{RETURNER} has {got} points instead of {wanted}: {self.left}"
        run.findings.check(got == wanted, "refunds take back their points, once", detail)


class ReturnsScenario(ApplicationScenario):
    """Orders that come back, and their points."""

    name = "returns"
    parts = (Returns,)
