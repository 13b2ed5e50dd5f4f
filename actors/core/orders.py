"""The actor that records orders."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from actors.core.messages import (
    MAX_ORDERS,
    MERCHANTS,
    GetMerchant,
    Order,
    OrderResult,
    OrderStatus,
    RecordOrders,
)
from actors.core.model import decide_order, invalid
from actors.core.queries import select_orders
from actors.core.records import order_entry, order_of
from actors.vocabulary import Refusal, RefusalKind
from runtime import Actor, ActorError
from runtime.envelope import Envelope
from runtime.journal import JOURNAL, Append, Rejected
from runtime.storage import Database, Entry, StorageError

Results = tuple[OrderResult | Refusal, ...]


class Orders(Actor):
    """The only writer of orders in its process, which makes look-then-write sound.

    Requests that queued up meanwhile share one look-up and one commit. The primary key of the
    table is the last wall.
    """

    batch_max: ClassVar[int] = 64
    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        self._database = database
        self._merchants: set[str] = set()

    async def receive_batch(self, batch: Sequence[Envelope]) -> None:
        by_merchant: dict[str, list[Envelope]] = {}
        for envelope in batch:
            message: Any = envelope.message
            refusals = await self._refuse(message)
            if refusals is not None:
                envelope.reply(refusals)
            else:
                by_merchant.setdefault(message.merchant_id, []).append(envelope)
        for merchant_id, envelopes in by_merchant.items():
            await self._record(merchant_id, envelopes)

    async def _refuse(self, message: RecordOrders) -> Results | None:
        """Refusals for all orders of a request that cannot be dealt with at all."""
        if len(message.orders) > MAX_ORDERS:
            refusal = invalid("too_many_orders", f"at most {MAX_ORDERS} orders at once")
            return (refusal,) * len(message.orders)
        if message.merchant_id not in self._merchants:
            known = await self.system.ref(MERCHANTS).ask(GetMerchant(message.merchant_id))
            if known is None:
                detail = f"there is no merchant {message.merchant_id}"
                refusal = Refusal(RefusalKind.NOT_FOUND, "merchant_unknown", detail)
                return (refusal,) * len(message.orders)
            self._merchants.add(message.merchant_id)
        return None

    async def _record(self, merchant_id: str, envelopes: Sequence[Envelope]) -> None:
        orders = [order for envelope in envelopes for order in envelope.message.orders]  # type: ignore[attr-defined]
        recorded = await self._find(merchant_id, {order.order_id for order in orders})
        results, entry = self._decide(merchant_id, orders, recorded)
        if entry:
            answer = await self.system.ref(JOURNAL).ask(Append(entry, publishes=True))
            if isinstance(answer, Rejected):
                raise answer.violation
        start = 0
        for envelope in envelopes:
            end = start + len(envelope.message.orders)  # type: ignore[attr-defined]
            envelope.reply(tuple(results[start:end]))
            start = end

    async def _find(self, merchant_id: str, ids: Iterable[str]) -> dict[str, Order]:
        wanted = sorted(ids)
        found: dict[str, Order] = {}
        for start in range(0, len(wanted), MAX_ORDERS):
            chunk = wanted[start : start + MAX_ORDERS]
            rows = await self._database.fetch(select_orders(len(chunk)), merchant_id, *chunk)
            found |= {order.order_id: order for order in map(order_of, rows)}
        return found

    def _decide(
        self, merchant_id: str, orders: Sequence[Order], recorded: dict[str, Order]
    ) -> tuple[list[OrderResult | Refusal], Entry]:
        now = self.system.clock.now()
        new_id = self.system.ids.new
        results: list[OrderResult | Refusal] = []
        writes: list[Any] = []
        for order in orders:
            result = decide_order(order, recorded, now)
            results.append(result)
            if isinstance(result, OrderResult) and result.status is OrderStatus.RECORDED:
                recorded[order.order_id] = order
                writes += order_entry(merchant_id, order, new_id("ev"), now)
        return results, tuple(writes)
