"""Refunds and cancellations: what is looked up for them, and their way to the journal."""

from typing import Any

import attrs

from actors.core.aliases import Aliases
from actors.core.messages import CancelOrder, Order, OrderStatus, RefundOrder, RefundResult
from actors.core.model import check_time
from actors.core.queries import SELECT_ORDER, SELECT_REFUND
from actors.core.records import order_of
from actors.core.refunding import (
    cancel_entry,
    decide_refund,
    order_unknown,
    refund_entry,
    refund_of,
)
from actors.vocabulary import KEY_REUSED, Refusal
from runtime.journal import JOURNAL, Append, Rejected
from runtime.storage import Database, Entry
from runtime.storage.idempotency import SELECT_KEY, idempotency_write
from runtime.system import ActorSystem


@attrs.frozen
class TakingBack:
    """Done by the writer of orders. Raises `ConstraintViolation` when somebody else wrote between
    the look and the write, and what the store does."""

    system: ActorSystem
    database: Database
    aliases: Aliases

    async def refund(self, message: Any) -> RefundResult | Refusal:
        command: RefundOrder = message
        merchant_id, refund, key = command.merchant_id, command.refund, command.idempotency
        answered = False
        if key is not None:
            row = await self.database.fetch_row(SELECT_KEY, merchant_id, key.key)
            if row is not None and row["fingerprint"] != key.fingerprint:
                return KEY_REUSED
            answered = row is not None
        order = await self._order(merchant_id, refund.order_id)
        found = await self.database.fetch_row(
            SELECT_REFUND, merchant_id, refund.order_id, refund.refund_id
        )
        now = self.system.clock.now()
        known = refund_of(found) if found is not None else None
        result = decide_refund(order, known, refund, now)
        if isinstance(result, Refusal) or order is None:
            return result
        if result.status is OrderStatus.RECORDED:
            earner = await self._earner(merchant_id, order)
            event_id = self.system.ids.new("ev")
            entry = refund_entry(merchant_id, order, earner, refund, event_id, now)
            await self._write((*entry, *_key_write(command, now)))
        elif answered:
            return attrs.evolve(result, status=OrderStatus.RECORDED, replayed=True)
        return result

    async def cancel(self, message: Any) -> Order | Refusal:
        command: CancelOrder = message
        now = self.system.clock.now()
        refusal = check_time(command.cancelled_at, now)
        if refusal is not None:
            return refusal
        order = await self._order(command.merchant_id, command.order_id)
        if order is None:
            return order_unknown(command.order_id)
        if order.cancelled_at is not None:
            return order
        earner = await self._earner(command.merchant_id, order)
        event_id, at = self.system.ids.new("ev"), command.cancelled_at
        await self._write(cancel_entry(command.merchant_id, order, earner, at, event_id, now))
        return attrs.evolve(order, cancelled_at=at)

    async def _order(self, merchant_id: str, order_id: str) -> Order | None:
        row = await self.database.fetch_row(SELECT_ORDER, merchant_id, order_id)
        return order_of(row) if row is not None else None

    async def _earner(self, merchant_id: str, order: Order) -> str:
        """Who has the points of the order now."""
        aliases = await self.aliases.resolve(merchant_id, (order.customer_id,))
        return aliases.get(order.customer_id, order.customer_id)

    async def _write(self, entry: Entry) -> None:
        answer = await self.system.ref(JOURNAL).ask(Append(entry, publishes=True))
        if isinstance(answer, Rejected):
            raise answer.violation


def _key_write(command: RefundOrder, now: Any) -> Entry:
    key = command.idempotency
    if key is None:
        return ()
    write = idempotency_write(
        merchant_id=command.merchant_id,
        key=key.key,
        fingerprint=key.fingerprint,
        response={"refund_id": command.refund.refund_id},
        created_at=now,
    )
    return (write,)
