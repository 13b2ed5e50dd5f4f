"""What running campaigns add to orders, what their entries keep of it, and what refunds undo."""

from datetime import timedelta

import attrs
import pytest
import trio

import actors.points.campaign_rules
from actors.campaign.messages import (
    CAMPAIGNS,
    Audience,
    AudienceKind,
    Budget,
    Campaign,
    CampaignKind,
    ChangeCampaign,
    Definition,
    FixedBonus,
    Goal,
    GoalMetric,
    Move,
    Schedule,
    Spent,
)
from actors.core.messages import ORDERS, Order, Refund, RefundOrder
from actors.points.campaign_rules import MAX_AGE_S
from tests.integration.campaign.world import DOUBLE, CampaignWorld, campaign_world, local
from tests.trees import MERCHANT, START
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)


LATE_S = 45.0
"""Until an event is tried again that nothing could be said about."""


def bonus(points: int, **rest: object) -> Definition:
    return Definition(
        name="Bonus",
        kind=CampaignKind.FIXED_BONUS,
        fixed_bonus=FixedBonus(points=points),
        **rest,  # type: ignore[arg-type]
    )


async def refund(world: CampaignWorld, order_id: str, refund_id: str, minor: int) -> None:
    when = world.tree.system.clock.now()
    told = Refund(order_id, refund_id, minor, when, None)
    await world.tree.system.ref(ORDERS).ask(RefundOrder(MERCHANT, told))
    await world.tree.delivered()


async def test_an_order_earns_by_the_running_multiplier_and_its_entry_says_so() -> None:
    async with campaign_world() as world:
        await world.order("before", 1_000)
        campaign = await world.started(DOUBLE)
        await world.order("during", 1_050)
        await world.moved(campaign, Move.PAUSE)
        await world.order("paused", 1_000)
        amounts = [(await world.entry(each)).amount for each in ("before", "during", "paused")]
        assert amounts == [10, 20, 10]
        rule = await world.explained("during")
        (promotion,) = rule.promotions
        assert promotion.campaign_id == campaign.campaign_id
        assert (promotion.version, promotion.percent, promotion.bonus) == (1, 200, 10)
        assert rule.rules_age_s == 0
        assert (await world.explained("before")).promotions == ()
        assert (await world.stats(campaign)).spent == Spent(points=10, count=1, members=1)
        assert (await world.tree.verify()).clean


async def test_an_order_counts_by_the_rules_that_ran_at_its_time() -> None:
    """One of before the start that is told of later earns nothing more, one of before the end that
    is told of after it does."""
    async with campaign_world() as world:
        ends_at = START + timedelta(seconds=20)
        schedule = Schedule(ends_at=local(ends_at))
        await trio.sleep(5)
        campaign = await world.started(attrs.evolve(DOUBLE, schedule=schedule))
        await world.order("early", 1_000, ordered_at=START)
        await trio.sleep(30)
        assert (await world.now(campaign)).ended_at == ends_at
        await world.order("late-told", 1_000, ordered_at=ends_at - timedelta(seconds=1))
        await world.order("late", 1_000, ordered_at=ends_at)
        amounts = [(await world.entry(each)).amount for each in ("early", "late-told", "late")]
        assert amounts == [10, 20, 10]


async def test_of_a_group_the_first_by_priority_that_adds_anything_takes_effect() -> None:
    """The others look at the order's own points alone, in whatever order they are."""
    async with campaign_world() as world:
        best = attrs.evolve(DOUBLE, priority=5, exclusivity_group="spring", currency="EUR")
        second = bonus(7, priority=3, exclusivity_group="spring")
        third = attrs.evolve(DOUBLE, priority=1, exclusivity_group="spring")
        ids = [(await world.started(each)).campaign_id for each in (third, second, best)]
        alone = (await world.started(attrs.evolve(DOUBLE, priority=-1))).campaign_id
        await world.order("dollars", 1_000)
        applied = [each.campaign_id for each in (await world.explained("dollars")).promotions]
        assert applied == [ids[1], alone]
        assert (await world.entry("dollars")).amount == 10 + 7 + 10


async def test_a_goal_pays_each_time_it_is_reached_and_as_often_as_it_may() -> None:
    async with campaign_world() as world:
        goal = Goal(metric=GoalMetric.SPEND, target=2_500, points=100, repeats_max=2)
        campaign = await world.started(
            Definition(name="Goal", kind=CampaignKind.GOAL, goal=goal, currency="USD")
        )
        for number, total in enumerate((1_000, 1_000, 1_000, 5_000, 5_000)):
            await world.order(f"o{number}", total)
        amounts = [(await world.entry(f"o{number}")).amount for number in range(5)]
        assert amounts == [10, 10, 110, 150, 50]
        assert (await world.stats(campaign)).spent == Spent(points=200, count=2, members=1)
        third = (await world.explained("o2")).promotions[0]
        assert (third.before, third.counted, third.reached) == (2_000, 1_000, 0)


async def test_budgets_of_points_money_and_count_cut_what_is_given() -> None:
    async with campaign_world() as world:
        points = await world.started(bonus(10, budget=Budget(points=25)))
        money = await world.started(
            bonus(10, budget=Budget(money_minor=30), unit_cost_minor=200, currency="USD")
        )
        count = await world.started(bonus(1, member_budget=Budget(count=1)))
        for number in range(3):
            await world.order(f"a{number}", 100)
        await world.order("b", 100, customer="bob")
        spent = [(await world.stats(each)).spent for each in (points, money, count)]
        assert spent == [
            Spent(points=25, count=3, members=1),
            Spent(points=15, money_minor=30, count=2, members=1),
            Spent(points=2, count=2, members=2),
        ]
        assert (await world.stats(points)).left == Budget(points=0)
        assert (await world.entry("a2")).amount == 1 + 5
        assert (await world.explained("b", "bob")).promotions[0].campaign_id == count.campaign_id


async def test_a_refund_gives_its_share_back_to_the_budgets() -> None:
    async with campaign_world() as world:
        campaign = await world.started(attrs.evolve(DOUBLE, budget=Budget(points=100, count=1)))
        await world.order("big", 10_000)
        await world.order("none-left", 10_000)
        await refund(world, "big", "first", 3_300)
        assert (await world.stats(campaign)).spent == Spent(points=67, count=1, members=1)
        await refund(world, "big", "rest", 6_700)
        assert (await world.stats(campaign)).spent == Spent()
        await world.order("again", 10_000)
        amounts = [(await world.entry(each)).amount for each in ("big", "none-left", "again")]
        assert amounts == [200, 100, 200]
        assert (await world.tree.balance()).available == 300
        assert (await world.tree.verify()).clean


async def test_only_members_of_a_frozen_audience_earn_more() -> None:
    async with campaign_world() as world:
        audience = Audience(kind=AudienceKind.LIST, names=("bob", "nobody"))
        campaign = await world.started(attrs.evolve(DOUBLE, audience=audience))
        assert await world.members(campaign) == ("bob",)
        await world.order("a", 1_000, customer="ann")
        await world.order("b", 1_000, customer="bob")
        assert (await world.entry("a", "ann")).amount == 10
        assert (await world.entry("b", "bob")).amount == 20


async def test_while_campaigns_do_not_answer_orders_earn_by_the_last_known_rules() -> None:
    """And the entry says how old they were; a rule still ends when its schedule says so."""
    async with campaign_world() as world:
        schedule = Schedule(ends_at=local(START + timedelta(seconds=40)))
        await world.started(attrs.evolve(DOUBLE, schedule=schedule))
        await world.order("known", 1_000)
        await world.stop_campaigns()
        await trio.sleep(20)
        await world.order("away", 1_000)
        rule = await world.explained("away")
        assert (await world.entry("away")).amount == 20
        assert 18 <= rule.rules_age_s <= 22
        await trio.sleep(25)
        await world.order("after-its-end", 1_000)
        assert (await world.entry("after-its-end")).amount == 10


async def test_points_wait_for_campaigns_that_were_never_heard_of_rather_than_to_be_wrong() -> None:
    async with campaign_world() as world:
        await world.started(DOUBLE)
        await world.stop_campaigns()
        now = world.tree.system.clock.now()
        await world.tree.record([Order("waits", "ann", now, "USD", 1_000, 1)])
        await trio.sleep(20)
        assert (await world.tree.balance()).available == 0
        await world.start_campaigns()
        await trio.sleep(LATE_S)
        assert (await world.entry("waits")).amount == 20
        assert (await world.explained("waits")).rules_age_s == 0


async def test_last_known_rules_are_used_for_a_quarter_of_an_hour_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """But where a merchant never had a campaign, there is nothing to be known."""
    monkeypatch.setattr(actors.points.campaign_rules, "MAX_AGE_S", 10.0)
    async with campaign_world() as world:
        await world.order("none-yet", 100)
        await world.stop_campaigns()
        await trio.sleep(30)
        await world.order("still-none", 100)
        assert (await world.explained("still-none")).rules_age_s >= 29
        await world.start_campaigns()
        await world.started(DOUBLE)
        await world.order("known", 1_000)
        await world.stop_campaigns()
        await trio.sleep(11)
        now = world.tree.system.clock.now()
        await world.tree.record([Order("too-old", "ann", now, "USD", 1_000, 1)])
        await trio.sleep(5)
        assert (await world.tree.balance()).available == 22
        await world.start_campaigns()
        await trio.sleep(LATE_S)
        assert (await world.tree.balance()).available == 42
    assert MAX_AGE_S == 900


async def test_a_member_of_whom_it_is_not_known_waits_and_others_do_not() -> None:
    async with campaign_world() as world:
        audience = Audience(kind=AudienceKind.LIST, names=("ann",))
        await world.started(attrs.evolve(DOUBLE, audience=audience))
        await world.order("known", 1_000, customer="ann")
        await world.stop_campaigns()
        now = world.tree.system.clock.now()
        for customer in ("ann", "bob"):
            order = Order(f"of-{customer}", customer, now, "USD", 1_000, 1)
            await world.tree.record([order])
        await trio.sleep(10)
        assert (await world.tree.balance("ann")).available == 40
        assert (await world.tree.balance("bob")).available == 0
        await world.start_campaigns()
        await trio.sleep(LATE_S)
        assert (await world.tree.balance("bob")).available == 10


async def test_a_budget_that_was_made_smaller_than_what_was_given_gives_nothing_more() -> None:
    """And stands in no order's way."""
    async with campaign_world() as world:
        goal = Goal(metric=GoalMetric.ORDERS, target=2, points=100, repeats_max=9)
        definition = Definition(
            name="Goal", kind=CampaignKind.GOAL, goal=goal, budget=Budget(points=500)
        )
        campaign = await world.started(definition)
        for number in range(2):
            await world.order(f"before-{number}", 100)
        await world.moved(campaign, Move.PAUSE)
        change = ChangeCampaign(
            merchant_id=MERCHANT,
            campaign_id=campaign.campaign_id,
            definition=attrs.evolve(definition, budget=Budget(points=30)),
            by="owner",
        )
        assert isinstance(await world.tree.system.ref(CAMPAIGNS).ask(change), Campaign)
        await world.moved(campaign, Move.RESUME)
        for number in range(3):
            await world.order(f"after-{number}", 100)
        assert (await world.tree.balance()).available == 5 + 100
        assert (await world.stats(campaign)).left == Budget(points=0)
        await refund(world, "before-1", "all", 100)
        assert (await world.stats(campaign)).spent == Spent()
