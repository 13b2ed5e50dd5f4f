"""Badges over a real store: awarded once, taken back, and looked at anew."""

from zoneinfo import ZoneInfo

import msgspec
import pytest
import trio

from actors.core.messages import (
    CUSTOMERS,
    MERCHANTS,
    ChangeSettings,
    EraseCustomer,
    MerchantSettings,
    MergeCustomers,
)
from actors.gamification.facts import Fact, FactKind
from actors.gamification.inside import Observe
from actors.gamification.messages import (
    INTAKE,
    PLAYERS,
    AchievementTerms,
    BadgeState,
    BadgeTerms,
    Calendar,
    Definition,
    Metric,
    PlayerKey,
    Recurrence,
    Rule,
    Status,
    Window,
)
from actors.points.messages import Reverse
from actors.referrals.messages import REFERRAL_REWARDED, ReferralRewarded
from actors.vocabulary import Refusal
from runtime import host
from runtime.outbox import Deliver, OutboxEvent
from tests.integration.gamification.playing import (
    awards,
    badges,
    cancel,
    days_ago,
    define,
    monthly_orders,
    ordered,
    progress,
    put,
    record,
    refund,
)
from tests.trees import MERCHANT, START, key, running_tree

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

FACTS = "SELECT count(*) FROM gamification_facts WHERE merchant_id = $1"


async def test_a_badge_is_awarded_once_in_each_period(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann")
        await monthly_orders(tree, 2)
        await record(tree, ordered("1", at=days_ago(0)), ordered("2", at=days_ago(0)))
        assert await badges(tree) == {("regular", "2026-03")}
        await record(tree, ordered("3", at=days_ago(0)))
        await record(tree, ordered("4", at=days_ago(20)), ordered("5", at=days_ago(25)))
        assert await badges(tree) == {("regular", "2026-03"), ("regular", "2026-02")}
        shown = (await progress(tree))["regular"]
        assert (shown.status, shown.value, shown.percent, shown.earned) == (
            Status.EARNED,
            3,
            100,
            2,
        )
        assert (shown.period, shown.counts_from) == ("2026-03", "2026-03-01")


async def test_what_is_told_again_counts_once() -> None:
    async with running_tree() as tree:
        await tree.create("ann")
        await monthly_orders(tree, 2)
        player = tree.system.entities(PLAYERS).ref(PlayerKey(MERCHANT, "ann"))
        fact = Fact(fact_id="order:1", kind=FactKind.ORDER, occurred_at=days_ago(0), amount=5)
        for _ in range(3):
            await player.ask(Observe((fact, fact)))
        assert await badges(tree) == set()
        assert await tree.database.fetch_value(FACTS, MERCHANT) == 1


async def test_a_refund_takes_a_badge_back_and_another_order_brings_it_again(
    store_url: str,
) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann")
        await define(tree, "big", Rule(metric=Metric.SPEND, currency="USD", target=5_000))
        kept = Rule(metric=Metric.ORDERS, target=1)
        await define(tree, "first", kept, revocable=False)
        await record(tree, ordered("1", 5_000))
        assert await badges(tree) == {("big", "once"), ("first", "once")}
        await refund(tree, "1", 1)
        assert await badges(tree) == {("first", "once")}
        (big,) = [award for award in await awards(tree) if award.badge_id == "big"]
        assert big.state is BadgeState.REVOKED
        assert big.revoked_at is not None
        await cancel(tree, "1")
        assert await badges(tree) == {("first", "once")}
        await record(tree, ordered("2", 5_000))
        assert await badges(tree) == {("big", "once"), ("first", "once")}
        (big,) = [award for award in await awards(tree) if award.badge_id == "big"]
        assert big.revoked_at is None


async def test_a_refund_that_is_told_of_before_its_order_counts() -> None:
    async with running_tree() as tree:
        await tree.create("ann")
        await monthly_orders(tree, 1)
        player = tree.system.entities(PLAYERS).ref(PlayerKey(MERCHANT, "ann"))
        order = Fact(fact_id="order:1", kind=FactKind.ORDER, occurred_at=days_ago(0), amount=5)
        refunded = Fact(
            fact_id="order:1",
            kind=FactKind.ORDER,
            occurred_at=days_ago(0),
            amount=5,
            taken=5,
            void=True,
        )
        await player.ask(Observe((refunded,)))
        await player.ask(Observe((order,)))
        assert await badges(tree) == set()
        assert (await progress(tree))["regular"].value == 0


async def test_days_are_those_of_the_merchants_zone() -> None:
    """23:30 in UTC on the last of February is March in Tokyo."""
    async with running_tree() as tree:
        await tree.create("ann")
        settings = MerchantSettings(time_zone="Asia/Tokyo")
        changed = ChangeSettings(MERCHANT, settings, 0, "owner")
        assert not isinstance(await tree.system.ref(MERCHANTS).ask(changed), Refusal)
        await monthly_orders(tree, 1)
        late = days_ago(1).replace(hour=23, minute=30)
        assert late.astimezone(ZoneInfo("Asia/Tokyo")).month == 3
        await record(tree, ordered("1", at=late))
        assert await badges(tree) == {("regular", "2026-03")}


async def test_what_a_merchant_has_not_defined_keeps_nothing() -> None:
    async with running_tree() as tree:
        await tree.create("ann")
        await record(tree, ordered("1"))
        assert await tree.database.fetch_value(FACTS, MERCHANT) == 0
        assert await progress(tree) == {}


async def test_definitions_have_versions_and_must_fit() -> None:
    async with running_tree() as tree:
        await tree.create()
        first = await put(tree, "b", BadgeTerms(name="One"))
        again = await put(tree, "b", BadgeTerms(name="One"))
        second = await put(tree, "b", BadgeTerms(name="Two"))
        assert isinstance(first, Definition)
        assert isinstance(again, Definition)
        assert isinstance(second, Definition)
        assert (first.version, again.version, second.version) == (1, 1, 2)
        refused = await put(tree, "not an id", BadgeTerms(name="One"))
        assert isinstance(refused, Refusal)
        rule = Rule(metric=Metric.ORDERS, target=1)
        homeless = AchievementTerms(name="a", badge_id="none", rule=rule)
        refused = await put(tree, "a", homeless)
        assert isinstance(refused, Refusal)
        assert refused.code == "badge_unknown"


async def test_two_customers_who_become_one_have_what_both_did(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann", "bob")
        await define(tree, "three", Rule(metric=Metric.ORDERS, target=3))
        await define(tree, "one", Rule(metric=Metric.ORDERS, target=1))
        await record(tree, ordered("1"), ordered("2"), ordered("3", customer="bob"))
        assert await badges(tree) == {("one", "once")}
        merge = MergeCustomers(MERCHANT, "bob", "ann")
        assert not isinstance(await tree.system.ref(CUSTOMERS).ask(merge), Refusal)
        await tree.delivered()
        assert await badges(tree) == {("one", "once"), ("three", "once")}
        assert await badges(tree, "bob") == set()


async def test_nothing_is_kept_of_a_customer_who_was_erased() -> None:
    async with running_tree() as tree:
        await tree.create("ann")
        await define(tree, "one", Rule(metric=Metric.ORDERS, target=1))
        await record(tree, ordered("1"))
        assert await badges(tree)
        erase = EraseCustomer(MERCHANT, "ann")
        assert not isinstance(await tree.system.ref(CUSTOMERS).ask(erase), Refusal)
        with trio.fail_after(60):
            while await tree.database.fetch_value(FACTS, MERCHANT):
                await trio.lowlevel.checkpoint()
        assert await badges(tree) == set()


async def test_points_count_from_when_a_rule_asks_for_them(store_url: str) -> None:
    """What is taken back counts in the month in which it was earned."""
    async with running_tree(store_url) as tree:
        await tree.create("ann")
        await tree.earn(500)
        monthly = Window(calendar=Calendar.MONTH)
        rule = Rule(metric=Metric.POINTS, target=100, window=monthly)
        await define(tree, "points", rule, recurrence=Recurrence.EACH_PERIOD)
        await tree.earn(60)
        told = await tree.earn(50, effective_at=days_ago(0))
        february = await tree.earn(100, effective_at=days_ago(10))
        await tree.delivered()
        assert await badges(tree) == {("points", "2026-03"), ("points", "2026-02")}
        for receipt, amount in ((told, 20), (february, 30)):
            undo = Reverse(idempotency=key(), transaction_id=receipt.transaction_id, amount=amount)
            await tree.apply(undo)
        await tree.delivered()
        assert await badges(tree) == set()
        assert (await progress(tree))["points"].value == 90


async def test_referrals_count_for_the_advocate() -> None:
    async with running_tree() as tree:
        await tree.create("ann")
        await define(tree, "friend", Rule(metric=Metric.REFERRALS, target=1))
        for taken_back, expected in ((False, {("friend", "once")}), (True, set())):
            told = ReferralRewarded(
                referral_id="r1", customer_id="ann", happened_at=START, reversed=taken_back
            )
            payload = msgspec.to_builtins(told)
            event = OutboxEvent(MERCHANT, "ev_1", REFERRAL_REWARDED, "ann", payload, START)
            await tree.system.ref(INTAKE).ask(Deliver((event, event)))
            assert await badges(tree) == expected
