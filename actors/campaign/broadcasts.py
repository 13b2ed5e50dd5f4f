"""The actor that has broadcasts follow their campaigns, and tells what became of them."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import attrs
import msgspec
import structlog

from actors.campaign.birthdays import (
    DELETE_BIRTHDAY,
    PUT_BIRTHDAY,
    SELECT_BIRTHDAY,
    Birthday,
    GetBirthday,
    SetBirthday,
)
from actors.campaign.delivery_messages import (
    BROADCAST_COMPLETED,
    Delivery,
    DeliveryStats,
    GetDeliveryStats,
    ListDeliveries,
    ListMessagesTo,
    ReportDelivery,
)
from actors.campaign.delivery_queries import (
    AUTOMATIONS_OF,
    CANCEL_BROADCAST,
    CHANGE_BROADCAST,
    COUNT_DELIVERIES,
    LIST_DELIVERIES,
    LIST_DELIVERIES_IN,
    LIST_MESSAGES_TO,
    PAUSE_BROADCAST,
    RESUME_BROADCAST,
    SELECT_BROADCAST,
)
from actors.campaign.delivery_queues import pump_job
from actors.campaign.delivery_records import (
    broadcast_of,
    broadcast_write,
    content_of,
    delivery_of,
)
from actors.campaign.messages import (
    CAMPAIGN_CHANGED,
    CAMPAIGNS,
    QUERIES,
    RULE_KINDS,
    CampaignChanged,
    CampaignState,
    GetVersion,
    Move,
    MoveCampaign,
    Trigger,
)
from actors.campaign.occasions import Occasion, occasion_entry
from actors.campaign.reports import Reports
from actors.core.messages import CUSTOMER_ERASED, HasCustomer
from actors.core.messages import QUERIES as CORE_QUERIES
from actors.paging import clamp_limit, decode_cursor, page
from actors.referrals.messages import TEXT_STATUS_TOLD
from actors.vocabulary import Page, Refusal, RefusalKind
from runtime import ActorError, Workers
from runtime.context import current_trace_id, under_trace
from runtime.inbox import take_effect
from runtime.jobs import JOBS, JobsAdded, job_write
from runtime.jobs.queries import INSERT_JOB
from runtime.journal import JOURNAL, Append
from runtime.outbox import Deliver, OutboxEvent
from runtime.storage import Database, Entry, StorageError, Write

log = structlog.get_logger("loyalnest.campaign")

BY: Final = "deliveries"
"""Who completes a campaign when all was sent."""

AUTOMATIONS_MAX: Final = 200
"""Of one merchant that may run at the same time and be told of an event."""


@attrs.frozen
class TierMove:
    """What is read of the event of a member's tier."""

    customer_id: str
    number: int
    from_tier: str | None
    to_tier: str | None


UNKNOWN_CAMPAIGN = Refusal(
    RefusalKind.NOT_FOUND, "broadcast_unknown", "this campaign has sent nothing yet"
)


class Broadcasts(Workers):
    """A consumer of `CAMPAIGN_CHANGED`, and of what texts come to. Raises what the store does."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    async def started(self) -> None:
        self._reports = Reports(self.system, self._database)

    async def receive(self, message: Any) -> object:
        match message:
            case Deliver():
                await self._deliver(message.events)
                return None
            case ListDeliveries():
                return await self._list(message)
            case ListMessagesTo():
                return await self._list_to(message)
            case GetDeliveryStats():
                return await self._stats(message.merchant_id, message.campaign_id)
            case ReportDelivery():
                return await self._reports.report(message)
            case SetBirthday():
                return await self._set_birthday(message)
            case GetBirthday():
                return await self._birthday(message)
        return await super().receive(message)

    async def _deliver(self, events: Sequence[OutboxEvent]) -> None:
        for event in events:
            with under_trace(event.trace_id):
                await self._heed(event)

    async def _heed(self, event: OutboxEvent) -> None:
        if event.topic == CAMPAIGN_CHANGED:
            await self._changed(event)
        elif event.topic == BROADCAST_COMPLETED:
            command = MoveCampaign(
                merchant_id=event.merchant_id, campaign_id=event.key, move=Move.COMPLETE, by=BY
            )
            await self.system.ref(CAMPAIGNS).ask(command)
        elif event.topic == CUSTOMER_ERASED:
            forget = Write(DELETE_BIRTHDAY, (event.merchant_id, event.key))
            await self._take(event, (forget,))
        elif event.topic == TEXT_STATUS_TOLD:
            await self._reports.text_told(event)
        else:
            await self._tier_changed(event)

    async def _changed(self, event: OutboxEvent) -> None:
        changed = msgspec.convert(event.payload, CampaignChanged)
        if changed.kind in RULE_KINDS:
            return
        entry, queue = await self._following(event.merchant_id, changed)
        await self._take(event, entry)
        if queue is not None:
            self.system.ref(JOBS).tell(JobsAdded(queue))

    async def _take(self, event: OutboxEvent, entry: Entry) -> None:
        """Raises the violation of an entry that breaks a constraint."""
        now = self.system.clock.now()
        rejected = await take_effect(
            self.system.ref(JOURNAL), self._database, self.ref.address, event, entry, now
        )
        if rejected is not None:
            raise rejected.violation

    async def _tier_changed(self, event: OutboxEvent) -> None:
        """A message for each automation about it. Nobody waits for an hour to hear of it."""
        changed = msgspec.convert(event.payload, TierMove)
        rows = await self._database.fetch(AUTOMATIONS_OF, event.merchant_id, AUTOMATIONS_MAX)
        facts = {"tier": changed.to_tier or "", "from_tier": changed.from_tier or ""}
        occasion = Occasion(changed.customer_id, f"tier-{changed.number}", facts)
        entry: list[Write] = []
        for broadcast in map(broadcast_of, rows):
            automation = broadcast.definition.automation
            if automation is not None and automation.trigger is Trigger.TIER_CHANGED:
                entry += await occasion_entry(self.system, self._database, broadcast, [occasion])
        await self._take(event, tuple(entry))
        for queue in {write.row[2] for write in entry if write.statement is INSERT_JOB}:
            self.system.ref(JOBS).tell(JobsAdded(queue))

    async def _set_birthday(self, message: SetBirthday) -> bool:
        key = (message.merchant_id, message.customer_id)
        if not await self.system.ref(CORE_QUERIES).ask(HasCustomer(*key)):
            return False
        born = message.birthday
        write = Write(DELETE_BIRTHDAY, key)
        if born is not None:
            write = Write(PUT_BIRTHDAY, (*key, born.month, born.day))
        answer = await self.system.ref(JOURNAL).ask(Append((write,)))
        if answer is not None:
            raise answer.violation
        return True

    async def _birthday(self, message: GetBirthday) -> Birthday | None:
        key = (message.merchant_id, message.customer_id)
        row = await self._database.fetch_row(SELECT_BIRTHDAY, *key)
        return Birthday(*row) if row is not None else None

    async def _following(
        self, merchant_id: str, changed: CampaignChanged
    ) -> tuple[Entry, str | None]:
        """What is written for a change, and the queue that has got something to do."""
        key = (merchant_id, changed.campaign_id)
        now = self.system.clock.now()
        match changed.to_state:
            case CampaignState.RUNNING:
                pass
            case CampaignState.PAUSED:
                return (Write(PAUSE_BROADCAST, key),), None
            case CampaignState.CANCELLED | CampaignState.COMPLETED:
                return await self._ending(*key)
            case _:
                return (), None
        version = await self.system.ref(QUERIES).ask(GetVersion(*key, changed.version))
        if version is None:
            raise LookupError(f"campaign {changed.campaign_id} has no version {changed.version}")
        definition = version.definition
        job = pump_job(*key, content_of(definition).channel)
        stored = msgspec.to_builtins(definition)
        return (
            broadcast_write(*key, changed.version, definition, now),
            Write(CHANGE_BROADCAST, (*key, changed.version, stored)),
            Write(RESUME_BROADCAST, key),
            self._job(job),
        ), job.queue

    async def _ending(self, merchant_id: str, campaign_id: str) -> tuple[Entry, str | None]:
        """What is not sent yet stays so."""
        row = await self._database.fetch_row(SELECT_BROADCAST, merchant_id, campaign_id)
        if row is None:
            return (), None
        job = pump_job(merchant_id, campaign_id, broadcast_of(row).channel)
        values = (merchant_id, campaign_id, self.system.clock.now())
        return (Write(CANCEL_BROADCAST, values), self._job(job)), job.queue

    def _job(self, job: Any) -> Write:
        job_id, now = self.system.ids.new("job"), self.system.clock.now()
        return job_write(job, job_id=job_id, now=now, trace_id=current_trace_id())

    async def _list(self, message: ListDeliveries) -> Page[Delivery] | Refusal:
        limit = clamp_limit(message.limit)
        after = decode_cursor(message.cursor, tuple[str], ("",))
        if isinstance(after, Refusal):
            return after
        key = (message.merchant_id, message.campaign_id)
        if await self._database.fetch_row(SELECT_BROADCAST, *key) is None:
            return UNKNOWN_CAMPAIGN
        values = (*key, *after, limit + 1)
        if message.state is None:
            rows = await self._database.fetch(LIST_DELIVERIES, *values)
        else:
            rows = await self._database.fetch(LIST_DELIVERIES_IN, *values, message.state.value)
        return page(rows, limit, delivery_of, lambda row: [row["delivery_id"]])

    async def _list_to(self, message: ListMessagesTo) -> Page[Delivery] | Refusal:
        limit = clamp_limit(message.limit)
        after = decode_cursor(message.cursor, tuple[str, str], ("", ""))
        if isinstance(after, Refusal):
            return after
        key = (message.merchant_id, message.customer_id)
        rows = await self._database.fetch(LIST_MESSAGES_TO, *key, *after, limit + 1)
        return page(rows, limit, delivery_of, lambda row: [row["campaign_id"], row["delivery_id"]])

    async def _stats(self, merchant_id: str, campaign_id: str) -> DeliveryStats | None:
        key = (merchant_id, campaign_id)
        found, counts = await self._database.fetch_many(
            [(SELECT_BROADCAST, key), (COUNT_DELIVERIES, key)]
        )
        if not found:
            return None
        broadcast = broadcast_of(found[0])
        by_state = {row[0]: row[1] for row in counts}
        return DeliveryStats(
            campaign_id=campaign_id,
            state=broadcast.state,
            gathered=broadcast.gathered,
            recipients=sum(by_state.values()),
            steps=broadcast.step,
            started_at=broadcast.started_at,
            ended_at=broadcast.ended_at,
            **by_state,
        )
