"""Shops with orders of all kinds, and what the oracle expects of them."""

from datetime import datetime, timedelta
from random import Random

import attrs
import trio

from actors.core.messages import (
    CUSTOMERS,
    ORDERS,
    CancelOrder,
    MergeCustomers,
    Order,
    Refund,
    RefundOrder,
)
from actors.rfm_analytics.messages import (
    QUERIES,
    RUNS,
    CustomerScores,
    GetRun,
    GetSegments,
    ListSegmentCustomers,
    Run,
    RunState,
    SegmentMembers,
    Segments,
    StartedRun,
    StartRun,
)
from actors.vocabulary import Refusal
from runtime.storage import StorageError
from tests.trees import MERCHANT, START, Tree
from tests.unit.rfm_analytics.oracle import Bought, Expected, expected

LOOK_S = 0.02

ENDED = frozenset({RunState.PUBLISHED, RunState.FAILED, RunState.SKIPPED})


@attrs.frozen
class Shop:
    """Who is there, and which of their orders count."""

    customers: tuple[str, ...]
    bought: tuple[Bought, ...]

    def expected(self, as_of: datetime, *, quintiles: bool = True) -> dict[str, Expected]:
        return expected(self.customers, self.bought, as_of, quintiles=quintiles)


async def open_shop(tree: Tree, seed: int, customers: int = 23, orders: int = 60) -> Shop:
    """Orders with refunds and cancellations, some in another currency, one customer merged."""
    random = Random(seed)
    names = tuple(f"c{number:02}" for number in range(customers))
    await tree.create(*names)
    placed: list[Order] = []
    bought: dict[str, Bought] = {}
    for number in range(orders):
        days = random.choice((0, 1, 5, 7, 8, 30, 31, 60, 90, 91, 300))
        placed.append(
            Order(
                f"o{number}",
                random.choice(names[: customers - 3]),
                START - timedelta(days=days, minutes=random.randrange(1_440)),
                random.choices(("USD", "EUR"), (9, 1))[0],
                random.choice((500, 1_000, 1_000, 2_500, 9_999)),
                1,
            )
        )
    await tree.record(placed)
    for order in placed:
        refunded = await _take_back(tree, random, order)
        if refunded is not None and order.currency == "USD":
            bought[order.order_id] = Bought(
                order.customer_id, order.ordered_at, order.total_minor, refunded
            )
    await tree.delivered()
    gone, into = names[0], names[1]
    merged = await tree.system.ref(CUSTOMERS).ask(MergeCustomers(MERCHANT, gone, into))
    assert not isinstance(merged, Refusal), merged
    counted = [
        attrs.evolve(each, customer=into) if each.customer == gone else each
        for each in bought.values()
    ]
    return Shop(names[1:], tuple(counted))


async def _take_back(tree: Tree, random: Random, order: Order) -> int | None:
    """How much of the order was refunded; None when it was cancelled."""
    chance = random.random()
    if chance < 0.1:
        await tree.system.ref(ORDERS).ask(CancelOrder(MERCHANT, order.order_id, START))
        return None
    if chance < 0.3:
        amount = random.choice((1, order.total_minor // 2, order.total_minor))
        refund = Refund(order.order_id, "r1", amount, START)
        await tree.system.ref(ORDERS).ask(RefundOrder(MERCHANT, refund))
        return amount
    return 0


async def start(tree: Tree, as_of: datetime | None = None) -> Run:
    started = await tree.system.ref(RUNS).ask(StartRun(MERCHANT, as_of))
    assert isinstance(started, StartedRun), started
    return started.run


async def ended(tree: Tree, run: Run) -> Run:
    """The run once it has ended; a store that is away is waited for."""
    while True:
        try:
            now = await tree.system.ref(QUERIES).ask(GetRun(MERCHANT, run.run_id))
        except StorageError:
            now = run
        assert now is not None
        if now.state in ENDED:
            return now
        await trio.sleep(LOOK_S)


async def publish(tree: Tree, as_of: datetime | None = None) -> Run:
    run = await ended(tree, await start(tree, as_of))
    assert run.state is RunState.PUBLISHED, run
    return run


async def segments(tree: Tree, run_id: str | None = None) -> Segments:
    found = await tree.system.ref(QUERIES).ask(GetSegments(MERCHANT, run_id))
    assert isinstance(found, Segments), found
    return found


async def counts(tree: Tree, run_id: str | None = None) -> dict[str, int]:
    found = await segments(tree, run_id)
    return {each.name: each.customers for each in found.segments}


async def everybody(tree: Tree, limit: int = 2) -> dict[str, CustomerScores]:
    """All customers of the newest run, page by page and segment by segment."""
    found: dict[str, CustomerScores] = {}
    for segment in (await segments(tree)).segments:
        cursor: str | None = None
        while True:
            question = ListSegmentCustomers(MERCHANT, segment.name, None, limit, cursor)
            page = await tree.system.ref(QUERIES).ask(question)
            assert isinstance(page, SegmentMembers), page
            assert not {each.customer_id for each in page.items} & found.keys()
            found |= {each.customer_id: each for each in page.items}
            cursor = page.next_cursor
            if cursor is None:
                break
    return found


def as_expected(scores: CustomerScores) -> Expected:
    three = (scores.recency_score, scores.frequency_score, scores.monetary_score)
    return Expected(
        scores.recency_days,
        scores.frequency,
        scores.monetary_minor,
        None if None in three else three,  # type: ignore[arg-type]
        scores.segment,
    )
