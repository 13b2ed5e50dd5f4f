"""The actor that writes campaigns, and moves them from state to state."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar

import attrs
import structlog

from actors.campaign.checks import check_definition
from actors.campaign.due import CLOCK, ComeDue, LookAgain
from actors.campaign.freezing import FREEZING, freeze_job
from actors.campaign.messages import (
    RULE_KINDS,
    Campaign,
    CampaignState,
    ChangeCampaign,
    CreateCampaign,
    CreatedCampaign,
    Definition,
    FrozenAudience,
    MoveCampaign,
)
from actors.campaign.moves import (
    RUNNING,
    came_due,
    check_change,
    is_freezing,
    moved,
)
from actors.campaign.queries import COUNT_RUNNING, SELECT_CAMPAIGN
from actors.campaign.records import (
    campaign_of,
    campaign_write,
    move_entry,
    new_entry,
    next_revision,
    version_write,
)
from actors.campaign.schedule import moments_of
from actors.core.messages import MERCHANTS, GetMerchant
from actors.room import no_room
from actors.vocabulary import KEY_REUSED, Refusal, RefusalKind
from runtime import Actor, ActorError
from runtime.context import current_trace_id
from runtime.jobs import JOBS, JobsAdded, job_write
from runtime.journal import JOURNAL, Append, Rejected
from runtime.storage import Database, Entry, StorageError
from runtime.storage.idempotency import SELECT_KEY, idempotency_write

log = structlog.get_logger("loyalnest.campaign")

TRIES = 3
"""A write is rejected when somebody else wrote between our look and our write."""

MAX_RUNNING = 50
"""Rules on earn of one merchant that run at the same time."""

BY_SCHEDULE = "schedule"

BUSY = Refusal(
    RefusalKind.CONFLICT, "campaign_conflict", "it was changed at the same time; look again"
)
TOO_MANY = Refusal(
    RefusalKind.CONFLICT,
    "too_many_running",
    f"at most {MAX_RUNNING} rules on earn run at the same time",
)

Decision = Callable[[Campaign, datetime], Campaign | Refusal]


class Campaigns(Actor):
    """Every change is the next revision of what was read, or is decided anew."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def receive(self, message: Any) -> object:
        match message:
            case CreateCampaign():
                return await self._create(message)
            case ChangeCampaign():
                return await self._change(message)
            case MoveCampaign():
                return await self._move(message)
            case ComeDue():
                await self._come_due(message)
            case _:
                return await super().receive(message)
        return None

    async def _create(self, message: CreateCampaign) -> CreatedCampaign | Refusal:
        earlier = await self._replay(message)
        if earlier is not None:
            return earlier
        merchant_id, definition = message.merchant_id, message.definition
        refusal = check_definition(definition) or await self._unknown_merchant(merchant_id)
        if refusal is not None:
            return refusal
        now = self.system.clock.now()
        campaign = _draft(self.system.ids.new("cmp"), definition, now)
        entry = new_entry(merchant_id, campaign, message.by)
        if await self._written(entry + _key_entry(message, campaign)):
            return CreatedCampaign(campaign)
        return await self._replay(message) or BUSY

    async def _replay(self, message: CreateCampaign) -> CreatedCampaign | Refusal | None:
        once = message.idempotency
        if once is None:
            return None
        row = await self._database.fetch_row(SELECT_KEY, message.merchant_id, once.key)
        if row is None:
            return None
        named = row["response"].get("campaign_id") if row["response"] else None
        if row["fingerprint"] != once.fingerprint or named is None:
            return KEY_REUSED
        found = await self._find(message.merchant_id, named)
        return CreatedCampaign(found, replayed=True) if found is not None else BUSY

    async def _change(self, message: ChangeCampaign) -> Campaign | Refusal:
        merchant_id, definition = message.merchant_id, message.definition
        for _ in range(TRIES):
            campaign = await self._find(merchant_id, message.campaign_id)
            if campaign is None:
                return _unknown(message.campaign_id)
            now = self.system.clock.now()
            refusal = check_definition(definition) or check_change(campaign, definition, now)
            if refusal is not None:
                return refusal
            if definition == campaign.definition:
                return campaign
            after = _redefined(campaign, definition, now)
            version = version_write(merchant_id, after, message.by)
            if await self._written((campaign_write(merchant_id, after), version)):
                self.system.ref(CLOCK).tell(LookAgain())
                return after
        return BUSY

    async def _move(self, message: MoveCampaign) -> Campaign | Refusal:
        def decide(campaign: Campaign, now: datetime) -> Campaign | Refusal:
            return moved(campaign, message.move, now)

        return await self._decided(message.merchant_id, message.campaign_id, decide, message.by)

    async def _come_due(self, message: ComeDue) -> None:
        merchant_id, campaign_id = message.merchant_id, message.campaign_id
        answer = await self._decided(merchant_id, campaign_id, came_due, BY_SCHEDULE)
        if isinstance(answer, Refusal):
            log.warning("campaign_held", campaign=campaign_id, code=answer.code)

    async def _decided(
        self, merchant_id: str, campaign_id: str, decide: Decision, by: str
    ) -> Campaign | Refusal:
        for _ in range(TRIES):
            campaign = await self._find(merchant_id, campaign_id)
            if campaign is None:
                return _unknown(campaign_id)
            now = self.system.clock.now()
            after = decide(campaign, now)
            if isinstance(after, Refusal) or after is campaign:
                return after
            if after.state is RUNNING and await self._too_many(merchant_id, after):
                return TOO_MANY
            if _begins_freezing(campaign, after):
                refusal = await no_room(self.system, FREEZING.name)
                if refusal is not None:
                    return refusal
            after = next_revision(after, now)
            if await self._written(self._entry(merchant_id, campaign, after, by, now)):
                self._tell(campaign, after)
                return after
        return BUSY

    def _entry(
        self, merchant_id: str, before: Campaign, after: Campaign, by: str, now: datetime
    ) -> Entry:
        event_id = self.system.ids.new("ev")
        at = _counts_from(before, after, now)
        entry = move_entry(merchant_id, before, after, by, event_id, at)
        if not _begins_freezing(before, after):
            return entry
        job = job_write(
            freeze_job(merchant_id, after.campaign_id),
            job_id=self.system.ids.new("job"),
            now=now,
            trace_id=current_trace_id(),
        )
        return (*entry, job)

    def _tell(self, before: Campaign, after: Campaign) -> None:
        self.system.ref(CLOCK).tell(LookAgain())
        if _begins_freezing(before, after):
            self.system.ref(JOBS).tell(JobsAdded(FREEZING.name))

    async def _too_many(self, merchant_id: str, campaign: Campaign) -> bool:
        if campaign.definition.kind not in RULE_KINDS:
            return False
        return bool(await self._database.fetch_value(COUNT_RUNNING, merchant_id) >= MAX_RUNNING)

    async def _find(self, merchant_id: str, campaign_id: str) -> Campaign | None:
        row = await self._database.fetch_row(SELECT_CAMPAIGN, merchant_id, campaign_id)
        return campaign_of(row) if row is not None else None

    async def _unknown_merchant(self, merchant_id: str) -> Refusal | None:
        if await self.system.ref(MERCHANTS).ask(GetMerchant(merchant_id)) is not None:
            return None
        detail = f"there is no merchant {merchant_id}"
        return Refusal(RefusalKind.NOT_FOUND, "merchant_unknown", detail)

    async def _written(self, entry: Entry) -> bool:
        answer = await self.system.ref(JOURNAL).ask(Append(entry, publishes=True))
        return not isinstance(answer, Rejected)


def _draft(campaign_id: str, definition: Definition, now: datetime) -> Campaign:
    starts_at, ends_at = moments_of(definition.schedule)
    return Campaign(
        campaign_id=campaign_id,
        state=CampaignState.DRAFT,
        version=1,
        revision=1,
        definition=definition,
        starts_at=starts_at,
        ends_at=ends_at,
        started_at=None,
        ended_at=None,
        audience=FrozenAudience(),
        held=None,
        created_at=now,
        updated_at=now,
    )


def _redefined(campaign: Campaign, definition: Definition, now: datetime) -> Campaign:
    starts_at, ends_at = moments_of(definition.schedule)
    return attrs.evolve(
        next_revision(campaign, now),
        version=campaign.version + 1,
        definition=definition,
        starts_at=starts_at,
        ends_at=ends_at,
    )


def _key_entry(message: CreateCampaign, campaign: Campaign) -> Entry:
    once = message.idempotency
    if once is None:
        return ()
    write = idempotency_write(
        merchant_id=message.merchant_id,
        key=once.key,
        fingerprint=once.fingerprint,
        response={"campaign_id": campaign.campaign_id},
        created_at=campaign.created_at,
    )
    return (write,)


def _begins_freezing(before: Campaign, after: Campaign) -> bool:
    return is_freezing(after) and not is_freezing(before)


def _counts_from(before: Campaign, after: Campaign, now: datetime) -> datetime:
    """When a move counts: what the schedule said counts from the time that it named."""
    if after.state is RUNNING and before.started_at is None and after.started_at is not None:
        return after.started_at
    return after.ended_at if after.ended_at is not None else now


def _unknown(campaign_id: str) -> Refusal:
    detail = f"there is no campaign {campaign_id}"
    return Refusal(RefusalKind.NOT_FOUND, "campaign_unknown", detail)
