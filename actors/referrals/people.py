"""The actor that hears of customers who turned out to be one, and of those who were erased."""

from typing import Any, ClassVar

import msgspec

from actors.core.messages import CUSTOMERS_MERGED, CustomerErased, CustomersMerged
from actors.referrals.claiming import end_writes
from actors.referrals.messages import PEOPLE, ReferralState
from actors.referrals.model import ERASED, SAME_PERSON
from actors.referrals.queries import (
    DELETE_LINK,
    MOVE_ADVOCATE,
    MOVE_FRIEND,
    SELECT_LIVE_OF,
    SELECT_OF_FRIEND,
)
from actors.referrals.records import Stored, referral_of
from runtime import ActorError, Workers
from runtime.context import under_trace
from runtime.inbox import take_effect
from runtime.journal import JOURNAL
from runtime.outbox import Deliver, OutboxEvent
from runtime.storage import Database, Entry, StorageError, Write

SYSTEM = "system"
AT_ONCE = 200
TRIES = 5


class People(Workers):
    """Who was merged goes on under the other name; a friend who turns out to be the advocate, or to
    have come before, ends the referral. Who was erased ends what is not confirmed."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    async def receive(self, message: Any) -> object:
        if not isinstance(message, Deliver):
            return await super().receive(message)
        for event in message.events:
            with under_trace(event.trace_id):
                await self._take(event)
        return None

    async def _take(self, event: OutboxEvent) -> None:
        """Returns when the effect is durable; raises when not sure."""
        for _ in range(TRIES):
            effect = await self._effect(event)
            if not effect:
                return
            journal, now = self.system.ref(JOURNAL), self.system.clock.now()
            rejected = await take_effect(journal, self._database, PEOPLE, event, effect, now)
            if rejected is None:
                return
        raise StorageError(f"event {event.event_id} found its referrals changed again and again")

    async def _effect(self, event: OutboxEvent) -> Entry:
        if event.topic == CUSTOMERS_MERGED:
            return await self._merged(
                event.merchant_id, msgspec.convert(event.payload, CustomersMerged)
            )
        told = msgspec.convert(event.payload, CustomerErased)
        writes = [Write(DELETE_LINK, (event.merchant_id, told.customer_id))]
        for referral in await self._live(event.merchant_id, told.customer_id):
            writes += self._ended(referral, ERASED)
        return tuple(writes)

    async def _live(self, merchant_id: str, customer_id: str) -> list[Stored]:
        rows = await self._database.fetch(SELECT_LIVE_OF, merchant_id, customer_id, AT_ONCE)
        return [referral_of(row) for row in rows]

    async def _merged(self, merchant_id: str, told: CustomersMerged) -> Entry:
        old, new = told.customer_id, told.into
        writes = [Write(MOVE_ADVOCATE, (merchant_id, old, new))]
        for referral in await self._live(merchant_id, old):
            if {old, new} == {referral.advocate_id, referral.friend_id}:
                writes += self._ended(referral, SAME_PERSON)
        came_by = await self._of_friend(merchant_id, old)
        if came_by is None or came_by.advocate_id == new:
            return tuple(writes)
        if await self._of_friend(merchant_id, new) is not None:
            if came_by.state in {ReferralState.CLAIMED, ReferralState.QUALIFIED}:
                writes += self._ended(came_by, SAME_PERSON)
            return tuple(writes)
        key = (merchant_id, came_by.referral_id)
        writes.append(Write(MOVE_FRIEND, (*key, old, new)))
        return tuple(writes)

    async def _of_friend(self, merchant_id: str, customer_id: str) -> Stored | None:
        row = await self._database.fetch_row(SELECT_OF_FRIEND, merchant_id, customer_id)
        return referral_of(row) if row is not None else None

    def _ended(self, referral: Stored, reason: str) -> Entry:
        """What is confirmed already is rewarded all the same."""
        if referral.confirmed_at is not None:
            return ()
        now = self.system.clock.now()
        return end_writes(referral, ReferralState.REJECTED, reason, now, by=SYSTEM)
