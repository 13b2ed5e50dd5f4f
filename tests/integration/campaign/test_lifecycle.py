"""Campaigns from draft to end: what may be done when, by whom it is refused, and by which clock."""

from datetime import timedelta

import attrs
import pytest
import trio

from actors.campaign.messages import (
    CAMPAIGN_CHANGED,
    CAMPAIGNS,
    QUERIES,
    Audience,
    AudienceKind,
    Campaign,
    CampaignState,
    ChangeCampaign,
    CreateCampaign,
    CreatedCampaign,
    Definition,
    ListCampaigns,
    ListVersions,
    Move,
    Multiplier,
    Schedule,
)
from actors.vocabulary import Page, Refusal
from tests.integration.campaign.world import DOUBLE, CampaignWorld, campaign_world, local
from tests.trees import MERCHANT, START, key
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)


async def change(world: CampaignWorld, campaign: Campaign, definition: Definition) -> object:
    command = ChangeCampaign(
        merchant_id=MERCHANT,
        campaign_id=campaign.campaign_id,
        definition=definition,
        by="manager",
    )
    return await world.tree.system.ref(CAMPAIGNS).ask(command)


async def test_a_campaign_goes_the_way_of_its_states_and_is_told_of_at_each() -> None:
    async with campaign_world() as world:
        campaign = await world.draft(DOUBLE)
        assert campaign.state is CampaignState.DRAFT
        seen = []
        for move in (Move.START, Move.START, Move.PAUSE, Move.RESUME, Move.CANCEL, Move.CANCEL):
            seen.append((await world.moved(campaign, move)).state.value)
        assert seen == ["running", "running", "paused", "running", "cancelled", "cancelled"]
        answer = await world.move(campaign, Move.RESUME)
        assert isinstance(answer, Refusal)
        assert answer.code == "campaign_state"
        rows = await world.tree.database.fetch(
            "SELECT from_state, to_state, changed_by FROM campaign_changes WHERE merchant_id = $1"
            " ORDER BY revision",
            MERCHANT,
        )
        assert [tuple(row) for row in rows] == [
            ("draft", "running", "owner"),
            ("running", "paused", "owner"),
            ("paused", "running", "owner"),
            ("running", "cancelled", "owner"),
        ]


async def test_a_change_is_told_of_in_the_transaction_that_makes_it() -> None:
    async with campaign_world() as world:
        told: list[str] = []
        append = world.tree.database.append

        async def watched(entries: object) -> None:
            for entry in entries:  # type: ignore[attr-defined]
                told.extend(w.row[4]["to_state"] for w in entry if CAMPAIGN_CHANGED in w.row)
            await append(entries)  # type: ignore[arg-type]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(world.tree.database), "append", lambda _self, e, **_: watched(e))
            await world.moved(await world.draft(DOUBLE), Move.START)
        assert told == ["running"]


async def test_changing_keeps_every_version_and_is_refused_while_it_runs() -> None:
    async with campaign_world() as world:
        campaign = await world.draft(DOUBLE)
        triple = attrs.evolve(DOUBLE, multiplier=Multiplier(percent=300))
        changed = await change(world, campaign, triple)
        assert isinstance(changed, Campaign)
        assert (changed.version, changed.definition) == (2, triple)
        assert await change(world, campaign, triple) == changed
        await world.moved(campaign, Move.START)
        refused = await change(world, campaign, DOUBLE)
        assert isinstance(refused, Refusal)
        await world.moved(campaign, Move.PAUSE)
        audience = Audience(kind=AudienceKind.LIST, names=("ann",))
        other_audience = await change(world, campaign, attrs.evolve(DOUBLE, audience=audience))
        assert isinstance(other_audience, Refusal)
        assert other_audience.code == "audience_frozen"
        assert isinstance(await change(world, campaign, DOUBLE), Campaign)
        await world.moved(campaign, Move.RESUME)
        await world.order("third", 1_000)
        (promotion,) = (await world.explained("third")).promotions
        assert (promotion.version, promotion.percent) == (3, 200)
        listed = await world.tree.system.ref(QUERIES).ask(
            ListVersions(MERCHANT, campaign.campaign_id)
        )
        assert isinstance(listed, Page)
        assert [(each.version, each.created_by) for each in listed.items] == [
            (3, "manager"),
            (2, "manager"),
            (1, "owner"),
        ]


async def test_the_same_key_makes_one_draft() -> None:
    async with campaign_world() as world:
        once = key("once")
        command = CreateCampaign(merchant_id=MERCHANT, definition=DOUBLE, by="o", idempotency=once)
        first, second = [await world.tree.system.ref(CAMPAIGNS).ask(command) for _ in range(2)]
        assert isinstance(first, CreatedCampaign)
        assert second == attrs.evolve(first, replayed=True)
        other = attrs.evolve(command, idempotency=attrs.evolve(once, fingerprint="other"))
        refused = await world.tree.system.ref(CAMPAIGNS).ask(other)
        assert isinstance(refused, Refusal)


async def test_lists_are_the_newest_first_and_can_be_narrowed() -> None:
    async with campaign_world() as world:
        drafts = []
        for number in range(3):
            await trio.sleep(0.1)
            drafts.append(await world.draft(attrs.evolve(DOUBLE, name=f"Draft {number}")))
        await world.moved(drafts[1], Move.CANCEL)
        queries = world.tree.system.ref(QUERIES)
        first = await queries.ask(ListCampaigns(merchant_id=MERCHANT, limit=2))
        assert isinstance(first, Page)
        rest = await queries.ask(
            ListCampaigns(merchant_id=MERCHANT, limit=2, cursor=first.next_cursor)
        )
        assert isinstance(rest, Page)
        names = [each.definition.name for each in (*first.items, *rest.items)]
        assert names == ["Draft 2", "Draft 1", "Draft 0"]
        cancelled = await queries.ask(
            ListCampaigns(merchant_id=MERCHANT, state=CampaignState.CANCELLED)
        )
        assert isinstance(cancelled, Page)
        assert [each.campaign_id for each in cancelled.items] == [drafts[1].campaign_id]


async def test_it_starts_and_ends_by_itself_at_the_local_times_of_its_zone() -> None:
    """It counts from those, to the second, although the clock looks a little later."""
    async with campaign_world() as world:
        zone_offset = timedelta(hours=-5)
        starts_at, ends_at = START + timedelta(seconds=15), START + timedelta(seconds=45)
        schedule = Schedule(
            zone="America/New_York",
            starts_at=local(starts_at + zone_offset),
            ends_at=local(ends_at + zone_offset),
        )
        campaign = await world.draft(attrs.evolve(DOUBLE, schedule=schedule))
        assert (campaign.starts_at, campaign.ends_at) == (starts_at, ends_at)
        assert (await world.moved(campaign, Move.START)).state is CampaignState.SCHEDULED
        running = await world.until(campaign, CampaignState.RUNNING)
        assert running.started_at == starts_at
        assert world.tree.system.clock.now() - starts_at < timedelta(seconds=1)
        completed = await world.until(campaign, CampaignState.COMPLETED)
        assert completed.ended_at == ends_at


async def test_what_came_due_while_the_process_was_down_is_done_at_its_next_start() -> None:
    async with campaign_world() as world:
        starts_at = START + timedelta(seconds=20)
        schedule = Schedule(starts_at=local(starts_at))
        campaign = await world.draft(attrs.evolve(DOUBLE, schedule=schedule))
        await world.moved(campaign, Move.START)
        await world.stop_campaigns()
        await trio.sleep(30)
        assert (await world.row_state(campaign)) == "scheduled"
        await world.start_campaigns()
        assert (await world.until(campaign, CampaignState.RUNNING)).started_at == starts_at
