"""The two ways in which a customer ends: merged into another one, and erased."""

from typing import Any

import attrs

from actors.core.customer_changes import unknown
from actors.core.customer_store import CustomerStore
from actors.core.merging import erase_writes, merge_refusal, merge_writes
from actors.core.messages import (
    CUSTOMER_ERASED,
    CUSTOMERS_MERGED,
    Customer,
    EraseCustomer,
    ErasedCustomer,
    MergeCustomers,
)
from actors.vocabulary import Refusal
from runtime.storage import ConstraintViolation, Write
from runtime.storage.outbox import event_write, outbox_write
from runtime.system import ActorSystem


@attrs.frozen
class Endings:
    """What the writer of customers does for them. Raises what the store does."""

    system: ActorSystem
    store: CustomerStore

    async def merge(self, message: MergeCustomers) -> Customer | Refusal:
        merchant_id, old, new = message.merchant_id, message.customer_id, message.into
        found = await self.store.load(merchant_id, (old, new))
        for customer_id in (old, new):
            if customer_id not in found:
                return unknown(customer_id)
        if found[old].merged_into != new:
            refusal = merge_refusal(found[old], found[new])
            if refusal is not None:
                return refusal
            event = self._event(
                merchant_id, CUSTOMERS_MERGED, new, {"customer_id": old, "into": new}
            )
            entry = (
                *merge_writes(found[old], found[new]),
                event,
                *map(event_write, message.publishes),
            )
            others = await self.store.merged_into(merchant_id, old)
            self.store.aliases.merged(merchant_id)
            await self._write(entry, merchant_id, old, new, *others)
            self.store.aliases.merged(merchant_id)
            found = await self.store.load(merchant_id, (new,))
        return found[new].opened(self.store.vault)

    async def erase(self, message: EraseCustomer) -> ErasedCustomer | Refusal:
        merchant_id, customer_id = message.merchant_id, message.customer_id
        stored = (await self.store.load(merchant_id, (customer_id,))).get(customer_id)
        if stored is None:
            return unknown(customer_id)
        if stored.erased_at is not None:
            return ErasedCustomer(customer_id, stored.erased_at, replayed=True)
        now = self.system.clock.now()
        ids = [customer_id, *await self.store.merged_into(merchant_id, customer_id)]
        reasons = await self.store.told_reasons(merchant_id, ids)
        events = [
            self._event(merchant_id, CUSTOMER_ERASED, each, {"customer_id": each}) for each in ids
        ]
        entry = (
            *erase_writes(merchant_id, ids, reasons, now),
            *events,
            *map(event_write, message.publishes),
        )
        await self._write(entry, merchant_id, *ids)
        return ErasedCustomer(customer_id, now)

    def _event(self, merchant_id: str, topic: str, key: str, payload: dict[str, Any]) -> Write:
        return outbox_write(
            merchant_id=merchant_id,
            event_id=self.system.ids.new("ev"),
            topic=topic,
            key=key,
            payload=payload,
            created_at=self.system.clock.now(),
        )

    async def _write(self, entry: tuple[Write, ...], merchant_id: str, *ids: str) -> None:
        answer = await self.store.append(self.system, entry, merchant_id, ids, publishes=True)
        if answer is not None:
            violation: ConstraintViolation = answer.violation
            raise violation
