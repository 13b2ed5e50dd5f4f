"""Short ways to say what tests of gamification say often."""

from datetime import datetime, timedelta
from typing import Any

import trio

from actors.core.messages import ORDERS, CancelOrder, Order, OrderLine, Refund, RefundOrder
from actors.gamification.enqueueing import SETTLED_AFTER
from actors.gamification.messages import (
    BOARDS,
    DEFINITIONS,
    PLAYERS,
    AchievementTerms,
    Award,
    BadgeState,
    BadgeTerms,
    BoardPage,
    BoardTerms,
    Calendar,
    Definition,
    GetBoard,
    GetProgress,
    ListAwards,
    Metric,
    PlayerKey,
    Progress,
    ProgressView,
    PutDefinition,
    Recurrence,
    Rule,
    Terms,
    Window,
)
from actors.vocabulary import Page, Refusal
from runtime.jobs import JOBS, SCHEDULED, Enqueue, Enqueued, NewJob
from tests.trees import MERCHANT, START, Tree

SKIPS = "SELECT achievement_id, reason FROM gamification_skips WHERE merchant_id = $1"


async def put(tree: Tree, definition_id: str, terms: Terms) -> Definition | Refusal:
    return await tree.system.ref(DEFINITIONS).ask(PutDefinition(MERCHANT, definition_id, terms))


async def define(tree: Tree, definition_id: str, rule: Rule, **rest: Any) -> None:
    """An achievement, and a badge of the same name."""
    badge = await put(tree, definition_id, BadgeTerms(name=definition_id))
    assert isinstance(badge, Definition), badge
    terms = AchievementTerms(name=definition_id, badge_id=definition_id, rule=rule, **rest)
    achievement = await put(tree, definition_id, terms)
    assert isinstance(achievement, Definition), achievement


async def monthly_orders(tree: Tree, count: int) -> None:
    rule = Rule(metric=Metric.ORDERS, target=count, window=Window(calendar=Calendar.MONTH))
    await define(tree, "regular", rule, recurrence=Recurrence.EACH_PERIOD)


async def settled(tree: Tree) -> None:
    """Wait until what was there before a definition has been looked at. In virtual time only."""
    await trio.sleep(SETTLED_AFTER.total_seconds() + 5)
    await tree.delivered()


def ordered(
    order_id: str,
    total_minor: int = 1_000,
    *,
    customer: str = "ann",
    at: datetime = START,
    skus: tuple[str, ...] = (),
) -> Order:
    lines = tuple(OrderLine(sku, 1, 100) for sku in skus)
    return Order(order_id, customer, at, "USD", total_minor, max(1, len(lines)), lines)


def days_ago(days: float) -> datetime:
    return START - timedelta(days=days)


async def record(tree: Tree, *orders: Order) -> None:
    results = await tree.record(orders)
    assert not [each for each in results if isinstance(each, Refusal)], results
    await tree.delivered()


async def refund(tree: Tree, order_id: str, amount_minor: int, refund_id: str = "r1") -> None:
    told = Refund(order_id, refund_id, amount_minor, START)
    answer = await tree.system.ref(ORDERS).ask(RefundOrder(MERCHANT, told))
    assert not isinstance(answer, Refusal), answer
    await tree.delivered()


async def cancel(tree: Tree, order_id: str) -> None:
    answer = await tree.system.ref(ORDERS).ask(CancelOrder(MERCHANT, order_id, START))
    assert not isinstance(answer, Refusal), answer
    await tree.delivered()


async def awards(tree: Tree, customer: str = "ann") -> list[Award]:
    page = await tree.system.ref(BOARDS).ask(ListAwards(MERCHANT, customer, 200))
    assert isinstance(page, Page), page
    return list(page.items)


async def badges(tree: Tree, customer: str = "ann") -> set[tuple[str, str]]:
    """Badge and period of those that are held."""
    return {
        (award.badge_id, award.period)
        for award in await awards(tree, customer)
        if award.state is BadgeState.AWARDED
    }


async def progress(tree: Tree, customer: str = "ann") -> dict[str, Progress]:
    player = tree.system.entities(PLAYERS).ref(PlayerKey(MERCHANT, customer))
    view = await player.ask(GetProgress())
    assert isinstance(view, ProgressView), view
    return {each.achievement_id: each for each in view.achievements}


async def board(
    tree: Tree, board_id: str, cycle: str | None = None, own: str | None = None, **rest: Any
) -> BoardPage:
    question = GetBoard(MERCHANT, board_id, cycle, own, **rest)
    page = await tree.system.ref(BOARDS).ask(question)
    assert isinstance(page, BoardPage), page
    return page


def ranks(page: BoardPage) -> list[tuple[int, str, int]]:
    return [(each.rank, each.customer_id, each.score) for each in page.items]


def spenders(**rest: Any) -> BoardTerms:
    return BoardTerms(name="Spenders", metric=Metric.SPEND, currency="USD", **rest)


async def skips(tree: Tree) -> dict[str, str]:
    return {row[0]: row[1] for row in await tree.database.fetch(SKIPS, MERCHANT)}


async def run_now(tree: Tree, job: str) -> None:
    """What a schedule enqueues, at once. In virtual time only."""
    enqueued = await tree.system.ref(JOBS).ask(Enqueue(NewJob(queue=SCHEDULED.name, name=job)))
    assert isinstance(enqueued, Enqueued), enqueued
    await trio.sleep(10)
