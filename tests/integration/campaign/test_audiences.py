"""Audiences: who belongs to them, that they freeze, and that no crash changes anything."""

from datetime import timedelta
from typing import Any

import attrs
import pytest
import trio

import actors.campaign.audiences
from actors.campaign.freezing import HELD_SEGMENTS, _Freezing
from actors.campaign.messages import (
    Attribute,
    Audience,
    AudienceKind,
    AudienceState,
    Broadcast,
    CampaignKind,
    CampaignState,
    Comparison,
    Condition,
    Content,
    Definition,
    Move,
    SendChannel,
)
from actors.core.messages import (
    CUSTOMERS,
    ORDERS,
    CancelOrder,
    EraseCustomer,
    MergeCustomers,
    Order,
)
from actors.points.tier_messages import (
    TIERS,
    Downgrade,
    GetStanding,
    Metric,
    PutTiers,
    Tier,
    TierTerms,
    Window,
)
from actors.rfm_analytics.messages import RUNS, StartedRun, StartRun
from runtime.storage import StorageError
from tests.integration.campaign.world import DOUBLE, campaign_world
from tests.trees import MERCHANT, START
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

NEWS = Broadcast(content=Content(channel=SendChannel.SMS, body="Spring is here"))
EVERYONE = ("ann", "bob", "cyd", "dan", "eve")


OF_IT = "WHERE merchant_id = $1 AND campaign_id = $2"
INSERT_ZOE = (
    "INSERT INTO campaign_members (merchant_id, campaign_id, customer_id) VALUES ($1, $2, 'zoe')"
)
UNFREEZING = (
    INSERT_ZOE,
    f"DELETE FROM campaign_members {OF_IT}",
    f"UPDATE campaign_members SET customer_id = 'zoe' {OF_IT}",
    f"UPDATE campaigns SET audience_state = 'freezing' {OF_IT}",
)


def broadcast(audience: Audience) -> Definition:
    return Definition(name="News", kind=CampaignKind.BROADCAST, broadcast=NEWS, audience=audience)


def to_segments(*names: str) -> Definition:
    return broadcast(Audience(kind=AudienceKind.SEGMENT, names=names))


async def test_everybody_is_everybody_who_is_there_when_a_broadcast_starts() -> None:
    """But for those who were merged into others, or erased."""
    async with campaign_world(customers=EVERYONE) as world:
        customers = world.tree.system.ref(CUSTOMERS)
        await customers.ask(MergeCustomers(MERCHANT, "bob", "ann"))
        await customers.ask(EraseCustomer(MERCHANT, "cyd"))
        campaign = await world.started(broadcast(Audience()))
        await world.tree.create("fay")
        assert await world.members(campaign) == ("ann", "dan", "eve")
        assert campaign.audience == attrs.evolve(
            campaign.audience, state=AudienceState.FROZEN, members=3
        )


async def test_segments_stay_those_of_the_run_that_was_newest_at_the_start() -> None:
    async with campaign_world(customers=EVERYONE) as world:
        world.segments.publish("run-1", START, loyal=("ann", "bob"), new=("cyd",), lost=("dan",))
        with pytest.MonkeyPatch.context() as patch:
            pin = _Freezing._pinned

            async def and_then_another_run(self: _Freezing, campaign: Any) -> Any:
                pinned = await pin(self, campaign)
                world.segments.publish("run-2", START, loyal=("eve",))
                return pinned

            patch.setattr(_Freezing, "_pinned", and_then_another_run)
            campaign = await world.started(to_segments("loyal", "new"))
        assert await world.members(campaign) == ("ann", "bob", "cyd")
        assert (campaign.audience.source_run, campaign.audience.source_as_of) == ("run-1", START)


async def test_segments_are_those_that_were_computed_last() -> None:
    async with campaign_world(customers=EVERYONE, scored=True) as world:
        runs = world.tree.system.ref(RUNS)
        draft = await world.draft(to_segments("champions", "prospect", "new"))
        held = await world.moved(draft, Move.START)
        await trio.sleep(5)
        assert (await world.now(held)).held == HELD_SEGMENTS
        orders = [Order(f"of-{each}", each, START, "USD", 1_000, 1) for each in ("ann", "dan")]
        await world.tree.record(orders)
        started = await runs.ask(StartRun(MERCHANT))
        assert isinstance(started, StartedRun)
        found = await world.until(held, CampaignState.RUNNING, within_s=400, look_s=10)
        assert found.audience.source_run == started.run.run_id
        scored = await world.members(found)
        assert {"bob", "cyd", "eve"} <= set(scored)
        assert found.audience.members == len(scored)


async def test_a_campaign_on_old_segments_is_held_until_there_are_newer_ones() -> None:
    async with campaign_world() as world:
        world.segments.publish("old", START - timedelta(hours=49), fresh=False, loyal=("ann",))
        campaign = await world.moved(await world.draft(to_segments("loyal")), Move.START)
        await trio.sleep(5)
        held = await world.now(campaign)
        assert (held.state, held.held) == (CampaignState.SCHEDULED, HELD_SEGMENTS)
        world.segments.publish("new", START, loyal=("bob",))
        found = await world.until(campaign, CampaignState.RUNNING, within_s=400, look_s=10)
        assert found.held is None
        assert await world.members(campaign) == ("bob",)


async def test_a_filter_looks_at_orders_that_count_and_at_days() -> None:
    async with campaign_world(customers=EVERYONE) as world:
        await trio.sleep(1)
        days = timedelta(days=1)
        orders = [
            Order("a1", "ann", START - 3 * days, "USD", 9_000, 1),
            Order("b1", "bob", START - 3 * days, "USD", 9_000, 1),
            Order("b2", "bob", START - 1 * days, "USD", 9_000, 1),
            Order("c1", "cyd", START - 3 * days, "EUR", 90_000, 1),
            Order("d1", "dan", START - 30 * days, "USD", 90_000, 1),
        ]
        await world.tree.record(orders)
        await world.tree.system.ref(ORDERS).ask(CancelOrder(MERCHANT, "b2", START))
        campaign = await world.started(
            broadcast(
                Audience(
                    kind=AudienceKind.FILTER,
                    conditions=(
                        _condition(Attribute.SPEND_MINOR, Comparison.AT_LEAST, 9_000),
                        _condition(Attribute.DAYS_SINCE_ORDER, Comparison.AT_MOST, 10),
                        _condition(Attribute.ORDERS, Comparison.AT_MOST, 1),
                        _condition(Attribute.DAYS_SINCE_CREATED, Comparison.AT_MOST, 0),
                    ),
                )
            )
        )
        assert await world.members(campaign) == ("ann", "bob")


def _condition(attribute: Attribute, comparison: Comparison, value: int) -> Condition:
    return Condition(attribute=attribute, comparison=comparison, value=value)


async def test_an_audience_of_tiers_is_who_has_them() -> None:
    async with campaign_world() as world:
        tiers = tuple(
            Tier(tier_id=name, name=name, threshold=points)
            for name, points in (("base", 1), ("gold", 100))
        )
        terms = TierTerms(
            metric=Metric.POINTS,
            window=Window(rolling_days=30),
            downgrade=Downgrade.IMMEDIATE,
            tiers=tiers,
        )
        await world.tree.system.ref(TIERS).ask(PutTiers(MERCHANT, terms))
        for customer, points in (("ann", 150), ("bob", 5)):
            await world.tree.earn(points, customer)
            await world.tree.system.ref(TIERS).ask(GetStanding(MERCHANT, customer))
        audience = Audience(kind=AudienceKind.TIER, names=("gold",))
        campaign = await world.started(attrs.evolve(DOUBLE, audience=audience))
        assert await world.members(campaign) == ("ann",)


@pytest.mark.parametrize("committed", [False, True], ids=["before it", "after it"])
@pytest.mark.parametrize("step", range(6))
async def test_a_crash_at_any_step_leaves_the_audience_as_it_was_to_be(
    step: int, *, committed: bool
) -> None:
    """Pinning is the first, then come three pages of at most two, and a look whether all of it is
    durable; a sixth step there is not."""
    async with campaign_world(customers=EVERYONE) as world:
        world.segments.publish("run", START, loyal=EVERYONE)
        with pytest.MonkeyPatch.context() as patch:
            crashed = _crash_at(patch, step, committed=committed)
            campaign = await world.started(to_segments("loyal"))
        assert crashed == ([True] if step < 5 else [])
        assert await world.members(campaign) == EVERYONE
        assert campaign.audience.members == len(EVERYONE)


def _crash_at(patch: pytest.MonkeyPatch, step: int, *, committed: bool) -> list[bool]:
    append, crashed, done = _Freezing._append, [], [0]

    async def crashing(self: _Freezing, entry: Any, **options: bool) -> None:
        number, done[0] = done[0], done[0] + 1
        if number != step:
            return await append(self, entry, **options)
        crashed.append(True)
        if committed:
            await append(self, entry, **options)
        raise RuntimeError("the worker dies here")

    patch.setattr(_Freezing, "_append", crashing)
    return crashed


async def test_cancelled_while_it_is_written_down_nothing_runs() -> None:
    async with campaign_world(customers=EVERYONE) as world:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(actors.campaign.audiences, "CHUNK", 1)
            append = _Freezing._append

            async def slowly(self: _Freezing, entry: Any, **options: bool) -> None:
                await trio.sleep(1)
                await append(self, entry, **options)

            patch.setattr(_Freezing, "_append", slowly)
            campaign = await world.moved(await world.draft(broadcast(Audience())), Move.START)
            await trio.sleep(2.5)
            await world.moved(campaign, Move.CANCEL)
            await trio.sleep(5)
        found = await world.now(campaign)
        assert found.state is CampaignState.CANCELLED
        assert 0 < len(await world.members(campaign)) < len(EVERYONE)


async def test_what_is_frozen_can_be_changed_by_nobody() -> None:
    async with campaign_world() as world:
        campaign = await world.started(broadcast(Audience()))
        for statement in UNFREEZING:
            with pytest.raises(StorageError, match="frozen"):
                await world.tree.database.execute(statement, MERCHANT, campaign.campaign_id)
        assert await world.members(campaign) == ("ann", "bob", "cyd")
