"""What the database itself holds campaigns to, on both products: moves, versions, budgets."""

from datetime import timedelta

import attrs
import pytest

from actors.campaign.messages import (
    Audience,
    Budget,
    Campaign,
    CampaignKind,
    CampaignState,
    Definition,
    FixedBonus,
    Move,
    Schedule,
    Spent,
)
from actors.core.messages import Order
from runtime import host
from runtime.storage import ConstraintViolation, StorageError
from tests.integration.campaign.test_audiences import UNFREEZING, broadcast
from tests.integration.campaign.world import DOUBLE, CampaignWorld, campaign_world, local
from tests.trees import MERCHANT

pytestmark = pytest.mark.trio(run=host.run)

LEGAL = {
    ("draft", "scheduled"),
    ("draft", "running"),
    ("draft", "cancelled"),
    ("scheduled", "running"),
    ("scheduled", "cancelled"),
    ("running", "paused"),
    ("running", "completed"),
    ("running", "cancelled"),
    ("paused", "running"),
    ("paused", "completed"),
    ("paused", "cancelled"),
}
WAY_TO = {
    "draft": (),
    "scheduled": ("scheduled",),
    "running": ("running",),
    "paused": ("running", "paused"),
    "completed": ("running", "completed"),
    "cancelled": ("cancelled",),
}
CHANGEABLE = {"draft", "scheduled", "paused"}
SET_STATE = "UPDATE campaigns SET state = $3 WHERE merchant_id = $1 AND campaign_id = $2"
SET_VERSION = "UPDATE campaigns SET version = 2 WHERE merchant_id = $1 AND campaign_id = $2"
SET_KIND = "UPDATE campaigns SET kind = 'goal' WHERE merchant_id = $1 AND campaign_id = $2"
DELETE = "DELETE FROM campaigns WHERE merchant_id = $1 AND campaign_id = $2"


async def in_state(world: CampaignWorld, state: str) -> Campaign:
    campaign = await world.draft(DOUBLE)
    for each in WAY_TO[state]:
        await world.tree.database.execute(SET_STATE, MERCHANT, campaign.campaign_id, each)
    return campaign


async def refused(world: CampaignWorld, sql: str, campaign: Campaign, *more: str) -> bool:
    try:
        await world.tree.database.execute(sql, MERCHANT, campaign.campaign_id, *more)
    except ConstraintViolation:
        return True
    return False


async def test_the_database_refuses_every_move_and_change_that_is_not_allowed(
    store_url: str,
) -> None:
    states = [state.value for state in CampaignState]
    async with campaign_world(store_url) as world:
        for before in states:
            changeable = not await refused(world, SET_VERSION, await in_state(world, before))
            assert changeable is (before in CHANGEABLE), before
            for after in states:
                campaign = await in_state(world, before)
                allowed = before == after or (before, after) in LEGAL
                was_refused = await refused(world, SET_STATE, campaign, after)
                assert was_refused is not allowed, (before, after)
        assert await refused(world, SET_KIND, campaign)
        with pytest.raises(StorageError):
            await world.tree.database.execute(DELETE, MERCHANT, campaign.campaign_id)


async def test_the_whole_way_of_a_campaign_over_a_real_store(store_url: str) -> None:
    """With an audience that is frozen, an end, a budget and a pause."""
    async with campaign_world(store_url) as world:
        ends_at = world.tree.system.clock.now() + timedelta(days=1)
        definition = attrs.evolve(
            DOUBLE,
            schedule=Schedule(ends_at=local(ends_at)),
            budget=Budget(points=15),
        )
        campaign = await world.started(definition)
        news = await world.started(broadcast(Audience()))
        for statement in UNFREEZING:
            with pytest.raises(StorageError):
                await world.tree.database.execute(statement, MERCHANT, news.campaign_id)
        assert await world.members(news) == ("ann", "bob", "cyd")
        await world.order("one", 1_000)
        await world.moved(campaign, Move.PAUSE)
        await world.order("two", 1_000)
        await world.moved(campaign, Move.RESUME)
        await world.order("three", 1_000)
        amounts = [(await world.entry(each)).amount for each in ("one", "two", "three")]
        assert amounts == [20, 10, 15]
        assert (await world.stats(campaign)).spent == Spent(points=15, count=2, members=1)
        assert (await world.explained("three")).promotions[0].left == 5
        assert (await world.tree.verify()).clean


async def test_of_many_who_want_the_last_of_a_budget_at_once_nobody_gets_too_much(
    store_url: str,
) -> None:
    """Everybody's points are there, whether or not there was something left for them."""
    customers = tuple(f"c{number:02}" for number in range(40))
    async with campaign_world(store_url, customers=customers) as world:
        points = await world.started(bonus(10, Budget(points=155)))
        count = await world.started(bonus(3, Budget(count=7)))
        now = world.tree.system.clock.now()
        orders = [Order(f"o-{each}", each, now, "USD", 100, 1) for each in customers]
        await world.tree.record(orders)
        await world.tree.delivered()
        assert (await world.stats(points)).spent == Spent(points=155, count=16, members=16)
        assert (await world.stats(count)).spent == Spent(points=21, count=7, members=7)
        verified = await world.tree.verify()
        assert verified.clean
        assert verified.points_outstanding == 40 + 155 + 21


def bonus(points: int, budget: Budget) -> Definition:
    return Definition(
        name="Bonus",
        kind=CampaignKind.FIXED_BONUS,
        fixed_bonus=FixedBonus(points=points),
        budget=budget,
    )
