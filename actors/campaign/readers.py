"""The actor that reads campaigns, their versions, their members, and what they have done."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from actors.campaign.messages import (
    MAX_MEMBERS,
    Budget,
    Campaign,
    CampaignStats,
    CampaignVersion,
    GetCampaign,
    GetStats,
    GetVersion,
    ListCampaigns,
    ListMembers,
    ListVersions,
    Spent,
)
from actors.campaign.queries import (
    LIST_CAMPAIGNS,
    LIST_MEMBERS,
    LIST_VERSIONS,
    SELECT_CAMPAIGN,
    SELECT_VERSION,
)
from actors.campaign.records import campaign_of, version_of
from actors.paging import Moment, SequenceNumber, clamp_limit, decode_cursor, page
from actors.points.messages import QUERIES as POINTS_QUERIES
from actors.points.messages import GetCampaignSpent
from actors.vocabulary import Page, Refusal
from runtime import ActorError, Workers
from runtime.storage import Database, StorageError

NEWEST = (datetime.max.replace(tzinfo=UTC), "")
LAST_VERSION = (2**62,)


class CampaignReaders(Workers):
    """Reads, several at a time, without holding up who writes."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    async def receive(self, message: Any) -> object:
        match message:
            case GetCampaign():
                return await self._campaign(message.merchant_id, message.campaign_id)
            case ListCampaigns():
                return await self._campaigns(message)
            case GetVersion():
                return await self._version(message)
            case ListVersions():
                return await self._versions(message)
            case ListMembers():
                return await self._members(message)
            case GetStats():
                return await self._stats(message)
        return await super().receive(message)

    async def _campaign(self, merchant_id: str, campaign_id: str) -> Campaign | None:
        row = await self._database.fetch_row(SELECT_CAMPAIGN, merchant_id, campaign_id)
        return campaign_of(row) if row is not None else None

    async def _campaigns(self, message: ListCampaigns) -> Page[Campaign] | Refusal:
        limit = clamp_limit(message.limit)
        before = decode_cursor(message.cursor, tuple[Moment, str], NEWEST)
        if isinstance(before, Refusal):
            return before
        rows = await self._database.fetch(
            LIST_CAMPAIGNS,
            message.merchant_id,
            *before,
            limit + 1,
            message.state.value if message.state is not None else None,
            message.kind.value if message.kind is not None else None,
        )
        return page(
            rows,
            limit,
            campaign_of,
            lambda row: [row["created_at"].isoformat(), row["campaign_id"]],
        )

    async def _version(self, message: GetVersion) -> CampaignVersion | None:
        values = (message.merchant_id, message.campaign_id, message.version)
        row = await self._database.fetch_row(SELECT_VERSION, *values)
        return version_of(row) if row is not None else None

    async def _versions(self, message: ListVersions) -> Page[CampaignVersion] | Refusal:
        limit = clamp_limit(message.limit)
        before = decode_cursor(message.cursor, tuple[SequenceNumber], LAST_VERSION)
        if isinstance(before, Refusal):
            return before
        values = (message.merchant_id, message.campaign_id, *before, limit + 1)
        rows = await self._database.fetch(LIST_VERSIONS, *values)
        return page(rows, limit, version_of, lambda row: [row["version"]])

    async def _members(self, message: ListMembers) -> tuple[str, ...]:
        limit = max(1, min(message.limit, MAX_MEMBERS))
        values = (message.merchant_id, message.campaign_id, message.after, limit)
        rows = await self._database.fetch(LIST_MEMBERS, *values)
        return tuple(row["customer_id"] for row in rows)

    async def _stats(self, message: GetStats) -> CampaignStats | None:
        campaign = await self._campaign(message.merchant_id, message.campaign_id)
        if campaign is None:
            return None
        question = GetCampaignSpent(message.merchant_id, message.campaign_id)
        spent = await self.system.ref(POINTS_QUERIES).ask(question)
        return CampaignStats(
            campaign_id=campaign.campaign_id,
            kind=campaign.definition.kind,
            state=campaign.state,
            version=campaign.version,
            audience=campaign.audience,
            spent=spent,
            left=_left(campaign.definition.budget, spent),
            as_of=self.system.clock.now(),
        )


def _left(budget: Budget, spent: Spent) -> Budget:
    return Budget(
        points=_rest(budget.points, spent.points),
        money_minor=_rest(budget.money_minor, spent.money_minor),
        count=_rest(budget.count, spent.count),
    )


def _rest(limit: int | None, spent: int) -> int | None:
    return max(0, limit - spent) if limit is not None else None
