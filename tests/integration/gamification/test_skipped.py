"""Rules that fail: skipped with a reason, tried again by the durable queue, and then one badge."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

import pytest
import trio

from actors.gamification.counting import NO_MATCHES, Matches
from actors.gamification.enqueueing import SWEEP
from actors.gamification.evaluation import Reach, reached
from actors.gamification.history import History
from actors.gamification.jobs import STALE_AFTER
from actors.gamification.messages import (
    Metric,
    Recurrence,
    Rule,
    Status,
)
from tests.integration.gamification.playing import (
    awards,
    badges,
    define,
    ordered,
    progress,
    record,
    refund,
    run_now,
    settled,
    skips,
)
from tests.trees import MERCHANT, running_tree
from tests.virtual import run_virtually

pytestmark = [pytest.mark.trio(run=run_virtually), pytest.mark.slow]

CANCEL_JOBS = (
    "UPDATE jobs SET state = 'cancelled', finished_at = created_at"
    " WHERE merchant_id = $1 AND name = 'gamification.reevaluate'"
)
AGE_SKIPS = "UPDATE gamification_skips SET skipped_at = $2 WHERE merchant_id = $1"
LATER_S = 240
"""By then a job has been tried again."""

JOBS_OF = "SELECT state, name FROM jobs WHERE merchant_id = $1 AND queue = 'gamification'"


class Faulty:
    """A judge of rules that fails on one metric for as long as it is `broken`."""

    def __init__(self, metric: Metric = Metric.SPEND) -> None:
        self.metric = metric
        self.broken = True
        self.asked = 0

    def __call__(
        self,
        rule: Rule,
        recurrence: Recurrence,
        history: History,
        days: Iterable[int] | None = None,
        matches: Matches = NO_MATCHES,
    ) -> Sequence[Reach]:
        if rule.metric is self.metric:
            self.asked += 1
            if self.broken:
                raise ZeroDivisionError("the rule is broken")
        return reached(rule, recurrence, history, days, matches)


BIG = Rule(metric=Metric.SPEND, currency="USD", target=500)
FIRST = Rule(metric=Metric.ORDERS, target=1)


async def test_a_rule_that_raises_is_skipped_and_later_awards_one_badge() -> None:
    judge = Faulty()
    async with running_tree(judge=judge) as tree:
        await tree.create("ann")
        await define(tree, "big", BIG)
        await define(tree, "first", FIRST)
        await record(tree, ordered("1", 1_000))
        assert (await tree.balance()).posted == 10
        assert await badges(tree) == {("first", "once")}
        assert await skips(tree) == {"big": "ZeroDivisionError: the rule is broken"}
        shown = (await progress(tree))["big"]
        assert (shown.status, shown.reason) == (
            Status.SKIPPED,
            "ZeroDivisionError: the rule is broken",
        )
        await trio.sleep(100)
        assert await badges(tree) == {("first", "once")}
        assert judge.asked >= 2
        judge.broken = False
        await trio.sleep(LATER_S)
        assert await badges(tree) == {("first", "once"), ("big", "once")}
        assert [award.badge_id for award in await awards(tree)].count("big") == 1
        assert await skips(tree) == {}
        states = await tree.database.fetch(JOBS_OF, MERCHANT)
        assert {(row["state"]) for row in states} == {"succeeded"}


async def test_the_next_event_catches_up_on_what_was_skipped() -> None:
    judge = Faulty()
    async with running_tree(judge=judge) as tree:
        await tree.create("ann")
        await define(tree, "big", BIG)
        await record(tree, ordered("1", 600))
        assert await badges(tree) == set()
        judge.broken = False
        await record(tree, ordered("2", 1))
        assert await badges(tree) == {("big", "once")}
        assert await skips(tree) == {}
        await trio.sleep(LATER_S)
        assert len(await awards(tree)) == 1


async def test_a_refund_that_could_not_be_judged_takes_the_badge_back_later() -> None:
    judge = Faulty()
    judge.broken = False
    async with running_tree(judge=judge) as tree:
        await tree.create("ann")
        await define(tree, "big", BIG)
        await record(tree, ordered("1", 500))
        assert await badges(tree) == {("big", "once")}
        judge.broken = True
        await refund(tree, "1", 500)
        assert await badges(tree) == {("big", "once")}
        judge.broken = False
        await trio.sleep(LATER_S)
        assert await badges(tree) == set()


async def test_what_the_queue_gave_up_on_is_tried_again_every_day() -> None:
    judge = Faulty()
    async with running_tree(judge=judge) as tree:
        await tree.create("ann")
        await define(tree, "big", BIG)
        await settled(tree)
        await record(tree, ordered("1", 600))
        await tree.database.execute(CANCEL_JOBS, MERCHANT)
        await trio.sleep(5)
        judge.broken = False
        await trio.sleep(LATER_S)
        assert await badges(tree) == set()
        await run_now(tree, SWEEP)
        assert await badges(tree) == set()
        long_ago = tree.system.clock.now() - STALE_AFTER - timedelta(seconds=1)
        await tree.database.execute(AGE_SKIPS, MERCHANT, long_ago)
        await run_now(tree, SWEEP)
        assert await badges(tree) == {("big", "once")}


async def test_orders_from_before_the_first_definition_count() -> None:
    async with running_tree() as tree:
        await tree.create("ann", "bob")
        many = [ordered(f"b{number}", 10, customer="bob") for number in range(450)]
        await record(tree, ordered("1", 600), ordered("2", 700), *many)
        await refund(tree, "2", 700)
        await define(tree, "one", Rule(metric=Metric.ORDERS, target=1))
        await define(tree, "two", Rule(metric=Metric.ORDERS, target=2))
        await define(tree, "many", Rule(metric=Metric.ORDERS, target=450))
        await settled(tree)
        assert await badges(tree) == {("one", "once")}
        assert await badges(tree, "bob") == {("one", "once"), ("two", "once"), ("many", "once")}


async def test_a_new_achievement_looks_back() -> None:
    async with running_tree() as tree:
        await tree.create("ann")
        await define(tree, "one", Rule(metric=Metric.ORDERS, target=1))
        await record(tree, ordered("1", 600))
        await define(tree, "big", BIG)
        await settled(tree)
        assert await badges(tree) == {("one", "once"), ("big", "once")}
