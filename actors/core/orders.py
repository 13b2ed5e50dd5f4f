"""The actor that records orders."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, TypeGuard

from actors.core.aliases import Aliases
from actors.core.around import Around, existing
from actors.core.messages import (
    MAX_ORDERS,
    MERCHANTS,
    CancelOrder,
    GetMerchant,
    Order,
    OrderResult,
    OrderStatus,
    RecordOrders,
    RefundOrder,
)
from actors.core.model import decide_order, invalid
from actors.core.queries import select_orders
from actors.core.quotas import Quotas
from actors.core.records import order_entry, order_of
from actors.core.taking_back import TakingBack
from actors.slicing import in_slices
from actors.vocabulary import KEY_REUSED, Idempotency, Refusal, RefusalKind
from runtime import Actor, ActorError
from runtime.envelope import Envelope
from runtime.journal import JOURNAL, Append, Rejected
from runtime.storage import ConstraintViolation, Database, Entry, StorageError, Write
from runtime.storage.idempotency import SELECT_KEY, idempotency_write

Results = tuple[OrderResult | Refusal, ...]


class Orders(Actor):
    """The only writer of orders in its process, which makes look-then-write sound.

    Requests that queued up meanwhile share one look-up and one commit. The primary key of the
    table is the last wall.
    """

    batch_max: ClassVar[int] = 64
    batch_cancellable: ClassVar[bool] = True
    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database, quotas: Quotas, aliases: Aliases) -> None:
        self._database = database
        self._quotas = quotas
        self._aliases = aliases
        self._merchants: set[str] = set()

    async def receive_batch(self, batch: Sequence[Envelope]) -> None:
        by_merchant: dict[str, list[Envelope]] = {}
        for envelope in batch:
            message: Any = envelope.message
            if not isinstance(message, RecordOrders):
                envelope.reply(await self._take_back(message))
                continue
            refusals = await self._refuse(message)
            if refusals is not None:
                envelope.reply(refusals)
            elif message.dry_run:
                envelope.reply(await self._try(message))
            elif message.idempotency is not None:
                envelope.reply(
                    await _again(partial(self._record_once, message, message.idempotency))
                )
            else:
                by_merchant.setdefault(message.merchant_id, []).append(envelope)
        for merchant_id, envelopes in by_merchant.items():
            for some in in_slices(envelopes, _size, MAX_ORDERS):
                await self._record_all(merchant_id, some)

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

    async def _record_once(self, message: RecordOrders, key: Idempotency) -> Results:
        """As `_record`; what was new is kept under the key, and told again as new."""
        row = await self._database.fetch_row(SELECT_KEY, message.merchant_id, key.key)
        if row is None:
            return await self._record(message.merchant_id, message.orders, key)
        if row["fingerprint"] != key.fingerprint:
            return (KEY_REUSED,) * len(message.orders)
        results = await self._record(message.merchant_id, message.orders)
        return tuple(_told_again(result, row["response"]) for result in results)

    async def _record(
        self, merchant_id: str, orders: Sequence[Order], key: Idempotency | None = None
    ) -> Results:
        recorded = await self._find(merchant_id, {order.order_id for order in orders})
        around = await self._around(merchant_id, orders)
        results, entry = self._decide(merchant_id, orders, recorded, around)
        if entry and key is not None:
            entry = (*entry, _key_write(merchant_id, key, results, self.system.clock.now()))
        if entry:
            self.finish_batch()
            answer = await self.system.ref(JOURNAL).ask(Append(entry, publishes=True))
            if isinstance(answer, Rejected):
                raise answer.violation
            self._quotas.keep(merchant_id, around.room)
        return tuple(results)

    async def _try(self, message: RecordOrders) -> Results:
        """What would become of the orders."""
        merchant_id, orders = message.merchant_id, message.orders
        recorded = await self._find(merchant_id, {order.order_id for order in orders})
        around = await self._around(merchant_id, orders)
        return tuple(self._decide(merchant_id, orders, recorded, around)[0])

    async def _around(self, merchant_id: str, orders: Sequence[Order]) -> Around:
        """What is to be known beside the orders themselves."""
        customers = {order.customer_id for order in orders}
        room = await self._quotas.room(merchant_id, self.system.clock.now())
        aliases = await self._aliases.resolve(merchant_id, customers)
        if room.limits.customers is None:
            return Around(room, aliases, None)
        return Around(room, aliases, await existing(self._database, merchant_id, customers))

    async def _take_back(self, message: RefundOrder | CancelOrder) -> object:
        """Look and write, once more where the write is rejected."""
        taking = TakingBack(self.system, self._database, self._aliases)
        step = taking.refund if isinstance(message, RefundOrder) else taking.cancel
        try:
            return await step(message)
        except ConstraintViolation:
            return await step(message)

    async def _record_all(self, merchant_id: str, envelopes: Sequence[Envelope]) -> None:
        orders = [order for envelope in envelopes for order in _orders_of(envelope)]
        results = await _again(partial(self._record, merchant_id, orders))
        start = 0
        for envelope in envelopes:
            end = start + len(_orders_of(envelope))
            envelope.reply(results[start:end])
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
        self,
        merchant_id: str,
        orders: Sequence[Order],
        recorded: dict[str, Order],
        around: Around,
    ) -> tuple[list[OrderResult | Refusal], Entry]:
        now = self.system.clock.now()
        new_id = self.system.ids.new
        results: list[OrderResult | Refusal] = []
        writes: list[Any] = []
        for order in orders:
            result = decide_order(order, recorded, now)
            if _is_new(result):
                result = around.refuse(order) or result
            results.append(result)
            if _is_new(result):
                recorded[order.order_id] = order
                earner = around.aliases.get(order.customer_id, order.customer_id)
                writes += order_entry(merchant_id, order, earner, new_id("ev"), now)
        return results, tuple(writes)


def _orders_of(envelope: Envelope) -> tuple[Order, ...]:
    message: Any = envelope.message
    orders: tuple[Order, ...] = message.orders
    return orders


def _size(envelope: Envelope) -> int:
    return len(_orders_of(envelope))


def _key_write(
    merchant_id: str, key: Idempotency, results: Sequence[OrderResult | Refusal], now: datetime
) -> Write:
    return idempotency_write(
        merchant_id=merchant_id,
        key=key.key,
        fingerprint=key.fingerprint,
        response={"recorded": [result.order.order_id for result in results if _is_new(result)]},
        created_at=now,
    )


def _is_new(result: OrderResult | Refusal) -> TypeGuard[OrderResult]:
    return isinstance(result, OrderResult) and result.status is OrderStatus.RECORDED


def _told_again(
    result: OrderResult | Refusal, response: Mapping[str, list[str]]
) -> OrderResult | Refusal:
    if isinstance(result, Refusal) or result.order.order_id not in response["recorded"]:
        return result
    return OrderResult(result.order, OrderStatus.RECORDED, replayed=True)


async def _again(step: Callable[[], Awaitable[Results]]) -> Results:
    """Look and write, once more where the write is rejected: then the commit of an earlier try
    was under way when `step` looked."""
    try:
        return await step()
    except ConstraintViolation:
        return await step()
