"""Badges: told of twice, in any order, and half of it taken back, each is there once in the end."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import ClassVar

import attrs

from actors.core.messages import (
    ORDERS,
    CancelOrder,
    Order,
    OrderLine,
    RecordOrders,
    Refund,
    RefundOrder,
)
from actors.gamification.messages import (
    BADGE_CHANGED,
    DEFINITIONS,
    AchievementTerms,
    BadgeTerms,
    Calendar,
    Definition,
    Metric,
    PutDefinition,
    Recurrence,
    Rule,
    Terms,
    Window,
)
from actors.vocabulary import Refusal
from runtime.sim import Operation, Run
from runtime.storage import AcrossMerchants, Entry, Row
from runtime.storage.outbox import INSERT_EVENT
from supervisors.simulation.parts import (
    CURRENCY,
    MERCHANT,
    PLAYERS,
    ApplicationScenario,
    Part,
)

EARNED, ONCE = "badges are what was earned", "no badge is awarded twice"

ROSES, TULIPS = "ROSES-12", "TULIPS-6"
DAILY = timedelta(days=1)

RULES = {
    "three": Rule(metric=Metric.ORDERS, target=3),
    "streak": Rule(metric=Metric.STREAK, target=3),
    "roses": Rule(metric=Metric.ITEMS, target=4, sku_pattern="ROSES.*"),
    "big": Rule(
        metric=Metric.SPEND,
        target=20_000,
        currency=CURRENCY,
        window=Window(calendar=Calendar.MONTH),
    ),
}
HELD = (
    "SELECT customer_id, badge_id, period FROM gamification_awards"
    " WHERE merchant_id = $1 AND state = 'awarded'"
)
ORDERED = (
    "SELECT customer_id, ordered_at, total_minor, refunded_minor, cancelled_at, lines FROM orders"
    " WHERE merchant_id = $1"
)
COUNT_OPEN = AcrossMerchants(
    "SELECT (SELECT count(*) FROM gamification_skips) + (SELECT count(*) FROM jobs"
    " WHERE queue = 'gamification' AND state NOT IN ('succeeded', 'cancelled'))"
)

Badge = tuple[str, str, str]
"""Customer, badge and period."""


@attrs.frozen
class Shop(Operation):
    """Order, perhaps give a part of it back, perhaps cancel."""

    customer: str
    total_minor: int
    days_ago: int
    sku: str
    refund: bool
    cancel: bool

    def __str__(self) -> str:
        ends = [word for word, so in (("refund", self.refund), ("cancel", self.cancel)) if so]
        what = f"{self.customer} orders {self.sku} for {self.total_minor}, {self.days_ago} days ago"
        return ", ".join((what, *ends))


class Badges(Part):
    """Clients that order and give back; each repeats what it asks until it is answered."""

    operations: ClassVar[tuple[type[Operation], ...]] = (Shop,)
    puts_back_jobs = True

    def __init__(self) -> None:
        self._orders = 0
        self._changes: Counter[tuple[str, ...]] = Counter()

    async def prepare(self, run: Run) -> None:
        run.world.store.committed.append(self._note_changes)
        system = await run.service.up()
        for name, rule in RULES.items():
            monthly = rule.window.calendar is not None
            recurrence = Recurrence.EACH_PERIOD if monthly else Recurrence.ONCE
            achievement = AchievementTerms(
                name=name, badge_id=name, rule=rule, recurrence=recurrence
            )
            both: tuple[Terms, Terms] = (BadgeTerms(name=name), achievement)
            for terms in both:
                put = await system.ref(DEFINITIONS).ask(PutDefinition(MERCHANT, name, terms))
                run.findings.check(isinstance(put, Definition), "prepared", str(put))

    def _note_changes(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            for write in entry:
                if write.statement is INSERT_EVENT and write.row[2] == BADGE_CHANGED:
                    told = write.row[4]
                    badge = (told["customer_id"], told["badge_id"], told["period"])
                    self._changes[*badge, str(told["number"])] += 1

    def draw(self, random: Random) -> Operation:
        return Shop(
            customer=random.choice(PLAYERS),
            total_minor=random.choice((900, 6_000, 12_000)),
            days_ago=random.choice((0, 0, 1, 2, 3, 40)),
            sku=random.choice((ROSES, TULIPS)),
            refund=random.random() < 0.3,
            cancel=random.random() < 0.3,
        )

    async def perform(self, run: Run, operation: Operation) -> None:
        assert isinstance(operation, Shop)  # noqa: S101 - the only one there is
        self._orders += 1
        order_id, total = f"game-{self._orders}", operation.total_minor
        at = run.world.clock.start - operation.days_ago * DAILY
        lines = (OrderLine(operation.sku, 2, total // 2),)
        order = Order(order_id, operation.customer, at, CURRENCY, total, 2, lines)
        await self._ask(run, RecordOrders(MERCHANT, (order,)))
        if operation.refund:
            await self._ask(run, RefundOrder(MERCHANT, Refund(order_id, "half", total // 2, at)))
        if operation.cancel:
            await self._ask(run, CancelOrder(MERCHANT, order_id, at))

    async def _ask(self, run: Run, message: RecordOrders | RefundOrder | CancelOrder) -> None:
        answer = await run.until_answered(lambda system: system.ref(ORDERS).ask(message))
        results = answer if isinstance(answer, tuple) else (answer,)
        refused = [result for result in results if isinstance(result, Refusal)]
        run.findings.check(not refused, "right answers", f"{message}: {refused}")

    async def at_rest(self, run: Run) -> bool:
        still: int = await run.world.store.real.fetch_value(COUNT_OPEN)
        return still == 0

    async def check(self, run: Run) -> None:
        """What the orders, as core has them now, are worth, counted without the domain's help."""
        store, findings = run.world.store.real, run.findings
        held = {tuple(row) for row in await store.fetch(HELD, MERCHANT)}
        rows = await store.fetch(ORDERED, MERCHANT)
        for player in PLAYERS:
            wanted = earned(player, [row for row in rows if row["customer_id"] == player])
            got = {badge for badge in held if badge[0] == player}
            detail = f"{player} has {sorted(got)} instead of {sorted(wanted)}"
            findings.check(got == wanted, EARNED, detail)
        for change, times in self._changes.items():
            findings.check(times == 1, ONCE, f"{change} was told {times} times")


def earned(player: str, rows: Iterable[Row]) -> set[Badge]:
    """The badges for these orders."""
    counting = [
        row
        for row in rows
        if row["cancelled_at"] is None and row["refunded_minor"] < row["total_minor"]
    ]
    badges = {"three": len(counting) >= 3, "streak": _in_a_row(counting) >= 3}
    badges["roses"] = 2 * sum(_is_roses(row) for row in counting) >= 4
    spent: dict[str, int] = defaultdict(int)
    for row in counting:
        spent[f"{_day(row):%Y-%m}"] += row["total_minor"] - row["refunded_minor"]
    once = {(player, badge, "once") for badge, has in badges.items() if has}
    return once | {(player, "big", month) for month, sum_ in spent.items() if sum_ >= 20_000}


def _is_roses(row: Row) -> bool:
    return any(ROSES in str(line) for line in row["lines"])


def _day(row: Row) -> datetime:
    at: datetime = row["ordered_at"]
    return at


def _in_a_row(rows: Iterable[Row]) -> int:
    days = sorted({_day(row).toordinal() for row in rows})
    best = length = min(1, len(days))
    for before, after in pairwise(days):
        length = length + 1 if after == before + 1 else 1
        best = max(best, length)
    return best


class BadgesScenario(ApplicationScenario):
    """Badges alone."""

    name = "badges"
    parts = (Badges,)
    operations = 20
