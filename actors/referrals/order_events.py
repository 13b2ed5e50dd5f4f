"""The actor that hears of orders and refunds: which referral they qualify, or spoil."""

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
import structlog

from actors.core.messages import ORDER_RECORDED, OrderRecorded, OrderRefunded
from actors.referrals.claiming import end_writes
from actors.referrals.lookups import Lookups
from actors.referrals.messages import ORDERS, ReferralState
from actors.referrals.model import ORDER_RETURNED, ORDERED_BEFORE, confirm_at, counts
from actors.referrals.queries import QUALIFY
from actors.referrals.queues import REWARDS, reverse_job, reward_job
from actors.referrals.records import Stored, step_write
from runtime import ActorError, Workers
from runtime.context import current_trace_id, under_trace
from runtime.inbox import take_effect
from runtime.jobs import JOBS, JobsAdded, NewJob, job_write
from runtime.journal import JOURNAL
from runtime.outbox import Deliver, OutboxEvent
from runtime.storage import Database, Entry, StorageError, Write

log = structlog.get_logger("loyalnest.referrals")

SYSTEM = "system"
TRIES = 5
"""Somebody else may change the referral at the same time; then it is looked at again."""


class OrderEvents(Workers):
    """Each event takes effect once. Most are about customers whom nobody brought; where many come
    at once, those are found out together."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    async def receive(self, message: Any) -> object:
        if not isinstance(message, Deliver):
            return await super().receive(message)
        for event in await self._of_interest(message.events):
            with under_trace(event.trace_id):
                await self._take(event)
        return None

    async def _of_interest(self, events: Sequence[OutboxEvent]) -> Sequence[OutboxEvent]:
        """Without the orders of those whom nobody brought. Who is brought later had ordered
        before, which the claim itself looks for."""
        if len(events) == 1 or events[0].topic != ORDER_RECORDED:
            return events
        lookups = Lookups(self.system, self._database)
        buyers = [msgspec.convert(event.payload, OrderRecorded).customer_id for event in events]
        brought: set[tuple[str, str]] = set()
        for merchant_id in dict.fromkeys(event.merchant_id for event in events):
            theirs = [
                buyer
                for event, buyer in zip(events, buyers, strict=True)
                if event.merchant_id == merchant_id
            ]
            found = await lookups.friends_among(merchant_id, theirs)
            brought |= {(merchant_id, customer_id) for customer_id in found}
        return [
            event
            for event, buyer in zip(events, buyers, strict=True)
            if (event.merchant_id, buyer) in brought
        ]

    async def _take(self, event: OutboxEvent) -> None:
        """Returns when the effect is durable; raises when not sure."""
        for _ in range(TRIES):
            effect = await self._effect(event)
            if not effect:
                return
            journal, now = self.system.ref(JOURNAL), self.system.clock.now()
            rejected = await take_effect(journal, self._database, ORDERS, event, effect, now)
            if rejected is None:
                self.system.ref(JOBS).tell(JobsAdded(REWARDS.name))
                return
        raise StorageError(f"event {event.event_id} found its referral changed again and again")

    async def _effect(self, event: OutboxEvent) -> Entry:
        lookups = Lookups(self.system, self._database)
        if event.topic == ORDER_RECORDED:
            order = msgspec.convert(event.payload, OrderRecorded)
            referral = await lookups.of_friend(event.merchant_id, order.customer_id)
            return self._ordered(referral, order) if referral is not None else ()
        told = msgspec.convert(event.payload, OrderRefunded)
        referral = await lookups.by_order(event.merchant_id, told.order.order_id)
        return self._returned(referral, told) if referral is not None else ()

    def _ordered(self, referral: Stored, order: OrderRecorded) -> Entry:
        """The first order that is enough qualifies. One from before the claim shows that the
        customer was none whom somebody brought."""
        now, claimed_at = self.system.clock.now(), referral.claimed_at
        live = referral.state in {ReferralState.CLAIMED, ReferralState.QUALIFIED}
        if claimed_at is None or not live or order.order_id == referral.order_id:
            return ()
        if order.ordered_at < claimed_at:
            if referral.confirmed_at is not None:
                return ()
            return end_writes(referral, ReferralState.REJECTED, ORDERED_BEFORE, now, by=SYSTEM)
        enough = counts(referral.program, order.total_minor, 0, cancelled=False)
        late = order.ordered_at >= referral.expires_at
        if referral.state is not ReferralState.CLAIMED or not enough or late:
            return ()
        due = confirm_at(referral.program, order.ordered_at, now)
        key = (referral.merchant_id, referral.referral_id)
        states = (referral.state.value, ReferralState.QUALIFIED.value)
        return (
            Write(QUALIFY, (*key, *states, order.order_id, due)),
            step_write(referral, ReferralState.QUALIFIED, now, SYSTEM),
            self._job(reward_job(*key, due)),
        )

    def _returned(self, referral: Stored, told: OrderRefunded) -> Entry:
        """Before the confirmation the referral is rejected, afterwards it is reversed."""
        order, now = told.order, self.system.clock.now()
        left = counts(referral.program, order.total_minor, told.refunded_minor, cancelled=False)
        if left:
            return ()
        if referral.confirmed_at is not None:
            key = (referral.merchant_id, referral.referral_id)
            return (self._job(reverse_job(*key, ORDER_RETURNED, SYSTEM)),)
        if referral.state is not ReferralState.QUALIFIED:
            return ()
        return end_writes(referral, ReferralState.REJECTED, ORDER_RETURNED, now, by=SYSTEM)

    def _job(self, job: NewJob) -> Write:
        now, job_id = self.system.clock.now(), self.system.ids.new("job")
        return job_write(job, job_id=job_id, now=now, trace_id=current_trace_id())
