"""Campaigns on a running tree, with short ways to say what the tests say often."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import attrs
import trio

from actors.campaign.messages import (
    CAMPAIGNS,
    QUERIES,
    Campaign,
    CampaignKind,
    CampaignState,
    CampaignStats,
    CreateCampaign,
    CreatedCampaign,
    Definition,
    GetCampaign,
    GetStats,
    ListMembers,
    Move,
    MoveCampaign,
    Multiplier,
)
from actors.campaign.rfm_segments import RfmSegments
from actors.campaign.segments import PinnedRun, SegmentsGone
from actors.core.messages import Order
from actors.points.explanation_messages import Explain, RuleExplained
from actors.points.messages import QUERIES as POINTS_QUERIES
from actors.points.messages import LedgerEntry, ListLedger
from actors.vocabulary import Page, Refusal
from runtime import RestartChild, TerminateChild
from runtime.ports import Ports
from runtime.storage import DatabaseHandle
from runtime.system import ActorSystem
from tests.trees import MEMORY, MERCHANT, START, Tree, running_tree

DOUBLE = Definition(name="Double", kind=CampaignKind.MULTIPLIER, multiplier=Multiplier(percent=200))


@attrs.define
class FakeSegments:
    """Segments as they are put here."""

    run: PinnedRun | None = None
    of: dict[str, Mapping[str, Sequence[str]]] = attrs.field(factory=dict)
    page: int = 2

    def publish(self, run_id: str, at: datetime, *, fresh: bool = True, **segments: Any) -> None:
        self.run = PinnedRun(run_id, at, fresh)
        self.of[run_id] = segments

    async def newest(self, system: ActorSystem, merchant_id: str) -> PinnedRun | None:
        return self.run

    async def members(
        self,
        system: ActorSystem,
        merchant_id: str,
        run_id: str,
        segments: Sequence[str],
        after: str,
    ) -> tuple[tuple[str, ...], str | None]:
        if run_id not in self.of:
            raise SegmentsGone(run_id)
        everybody = sorted(one for name in segments for one in self.of[run_id].get(name, ()))
        found = [one for one in everybody if one > after][: self.page]
        more = bool(found) and found[-1] != everybody[-1]
        return tuple(found), found[-1] if more else None


@attrs.define
class CampaignWorld:
    """A tree, and what is done to campaigns in it."""

    tree: Tree
    segments: FakeSegments

    async def draft(self, definition: Definition, **once: Any) -> Campaign:
        command = CreateCampaign(merchant_id=MERCHANT, definition=definition, by="owner", **once)
        created = await self.tree.system.ref(CAMPAIGNS).ask(command)
        assert isinstance(created, CreatedCampaign), created
        return created.campaign

    async def move(self, campaign: Campaign, move: Move) -> Campaign | Refusal:
        command = MoveCampaign(
            merchant_id=MERCHANT, campaign_id=campaign.campaign_id, move=move, by="owner"
        )
        return await self.tree.system.ref(CAMPAIGNS).ask(command)

    async def moved(self, campaign: Campaign, move: Move) -> Campaign:
        answer = await self.move(campaign, move)
        assert isinstance(answer, Campaign), answer
        return answer

    async def started(self, definition: Definition) -> Campaign:
        campaign = await self.moved(await self.draft(definition), Move.START)
        return await self.until(campaign, CampaignState.RUNNING)

    async def now(self, campaign: Campaign) -> Campaign:
        question = GetCampaign(MERCHANT, campaign.campaign_id)
        found = await self.tree.system.ref(QUERIES).ask(question)
        assert found is not None
        return found

    async def until(
        self, campaign: Campaign, state: CampaignState, within_s: float = 60, look_s: float = 0.25
    ) -> Campaign:
        """The campaign as soon as it is in that state."""
        with trio.fail_after(within_s):
            while (found := await self.now(campaign)).state is not state:  # noqa: ASYNC110
                await trio.sleep(look_s)
        return found

    async def stop_campaigns(self) -> None:
        """As a domain that is declared down."""
        await self.tree.system.ref("test.test").ask(TerminateChild("campaign"))

    async def start_campaigns(self) -> None:
        await self.tree.system.ref("test.test").ask(RestartChild("campaign"))

    async def row_state(self, campaign: Campaign) -> str:
        """Its state as the table has it."""
        found: str = await self.tree.database.fetch_value(
            "SELECT state FROM campaigns WHERE merchant_id = $1 AND campaign_id = $2",
            MERCHANT,
            campaign.campaign_id,
        )
        return found

    async def stats(self, campaign: Campaign) -> CampaignStats:
        question = GetStats(MERCHANT, campaign.campaign_id)
        found = await self.tree.system.ref(QUERIES).ask(question)
        assert found is not None
        return found

    async def members(self, campaign: Campaign) -> tuple[str, ...]:
        question = ListMembers(MERCHANT, campaign.campaign_id)
        return await self.tree.system.ref(QUERIES).ask(question)

    async def order(
        self,
        order_id: str,
        total_minor: int,
        customer: str = "ann",
        ordered_at: datetime | None = None,
        currency: str = "USD",
    ) -> None:
        """An order of now, with its points."""
        at = ordered_at if ordered_at is not None else self.tree.system.clock.now()
        order = Order(order_id, customer, at, currency, total_minor, 1)
        await self.tree.record([order])
        await self.tree.delivered()

    async def entry(self, order_id: str, customer: str = "ann") -> LedgerEntry:
        found = await self.tree.system.ref(POINTS_QUERIES).ask(ListLedger(MERCHANT, customer))
        assert isinstance(found, Page), found
        (entry,) = [e for e in found.items if e.order_id == order_id and e.kind == "earn"]
        return entry

    async def explained(self, order_id: str, customer: str = "ann") -> RuleExplained:
        """Why the order earned what it did; checked that it can be computed again."""
        entry = await self.entry(order_id, customer)
        explanation = await self.tree.system.ref(POINTS_QUERIES).ask(
            Explain(MERCHANT, entry.transaction_id)
        )
        assert explanation is not None
        assert explanation.rule is not None
        assert explanation.rule.recomputed == entry.amount
        return explanation.rule


@asynccontextmanager
async def campaign_world(
    url: str = MEMORY,
    ports: Ports | None = None,
    handle: DatabaseHandle | None = None,
    customers: Sequence[str] = ("ann", "bob", "cyd"),
    *,
    scored: bool = False,
) -> AsyncIterator[CampaignWorld]:
    """With segments as they are put there, or, `scored`, as they are computed."""
    segments = FakeSegments()
    source, rfm_slice = (RfmSegments(), 2) if scored else (segments, None)
    async with running_tree(url, ports, handle, segments=source, rfm_slice=rfm_slice) as tree:
        await tree.create(*customers)
        yield CampaignWorld(tree, segments)


def local(moment: datetime) -> datetime:
    """A moment in UTC as a local time of UTC."""
    return moment.replace(tzinfo=None)


def from_start(**span: float) -> datetime:
    return START + timedelta(**span)
