"""Orders: recording them, taking them back, and reading them."""

from datetime import datetime
from enum import Enum

import attrs

from actors.vocabulary import Idempotency, Page, Refusal
from runtime.message import Call

ORDERS = "core.orders"
"""Name of the actor that records orders."""

QUERIES = "core.queries"
"""Name of the actor that reads the store."""

ORDER_RECORDED = "core.order_recorded"
"""Topic of the outbox event that follows every recorded order; payload: `OrderRecorded`."""

ORDER_REFUNDED = "core.order_refunded"
"""Topic of the outbox event that follows every refund and every cancellation; payload:
`OrderRefunded`."""


@attrs.frozen
class OrderLine:
    """`unit_price_minor` in minor units of the order's currency."""

    sku: str
    quantity: int
    unit_price_minor: int


@attrs.frozen
class Order:
    """`total_minor` is what was paid, in minor units of `currency`, never negative.

    `refunded_minor` and `cancelled_at` say what became of it since; two orders are equal when they
    were recorded alike.
    """

    order_id: str
    customer_id: str
    ordered_at: datetime
    currency: str
    total_minor: int
    items: int
    lines: tuple[OrderLine, ...] = ()
    refunded_minor: int = attrs.field(default=0, eq=False)
    cancelled_at: datetime | None = attrs.field(default=None, eq=False)


class OrderStatus(Enum):
    RECORDED = "recorded"
    DUPLICATE = "duplicate"


@attrs.frozen
class OrderResult:
    """`DUPLICATE`: the same order was recorded before, and nothing was changed. `replayed`:
    it is the first answer again, for the same idempotency key."""

    order: Order
    status: OrderStatus
    replayed: bool = False


@attrs.frozen
class RecordOrders(Call[tuple[OrderResult | Refusal, ...]]):
    """Record orders of one merchant, each on its own, answered in order once durable.

    Unknown customers are created. An order id recorded before with another content is a
    conflict. The points follow through the outbox. At most `MAX_ORDERS` in one message.

    Without an idempotency key the order ids alone make a repetition harmless. A `dry_run` answers
    what would become of them, and writes nothing.
    """

    merchant_id: str
    orders: tuple[Order, ...]
    idempotency: Idempotency | None = None
    dry_run: bool = False


MAX_ORDERS = 1_000


@attrs.frozen
class OrderRecorded:
    """Payload of the outbox event. `customer_id` is who the points are for: the one that the
    order's customer was merged into, where there is one. `lines` as they were recorded."""

    order_id: str
    customer_id: str
    total_minor: int
    currency: str
    ordered_at: datetime
    lines: tuple[OrderLine, ...] = ()


@attrs.frozen
class Refund:
    """`amount_minor` is in minor units of the order's currency."""

    order_id: str
    refund_id: str
    amount_minor: int
    refunded_at: datetime
    reason: str | None = None


@attrs.frozen
class RefundResult:
    """`refunded_minor` is what all refunds of the order took back by now."""

    refund: Refund
    status: OrderStatus
    refunded_minor: int
    replayed: bool = False


@attrs.frozen
class RefundOrder(Call[RefundResult | Refusal]):
    """To `ORDERS`: give a part of an order's money back, or all of it.

    A refund id recorded before with another content is a conflict, and so is one that would make
    all refunds more than the order's total. The points follow through the outbox.
    """

    merchant_id: str
    refund: Refund
    idempotency: Idempotency | None = None


@attrs.frozen
class CancelOrder(Call[Order | Refusal]):
    """To `ORDERS`: the order did not come about. Repeating it changes nothing."""

    merchant_id: str
    order_id: str
    cancelled_at: datetime


@attrs.frozen
class OrderRefunded:
    """Payload of the outbox event.

    `refunded_minor` is what was taken back of the order's total by now, all of it when the order
    was cancelled; `before_minor` is what had been taken back before. `order` is as in the event
    that told of the order, which may come later than this one. `refund_id` is unique for the order.
    """

    order: OrderRecorded
    refund_id: str
    before_minor: int
    refunded_minor: int


@attrs.frozen
class ListRefunds(Call[tuple[Refund, ...]]):
    """To `QUERIES`: those of one order, the oldest first, at most `MAX_REFUNDS`."""

    merchant_id: str
    order_id: str


MAX_REFUNDS = 100
"""Refunds of one order."""


class CreditState(Enum):
    """`MISSING`: it should have earned points, and there are none."""

    CREDITED = "credited"
    EARNS_NOTHING = "earns_nothing"
    MISSING = "missing"


@attrs.frozen
class Reconciliation:
    """What a comparison of one merchant's orders with its ledger found.

    `missing` orders had no points; they were published again, which credits them.
    """

    merchant_id: str
    ran_at: datetime
    since: datetime
    until: datetime
    orders: int
    missing: int
    missing_ids: tuple[str, ...]


@attrs.frozen
class ListReconciliations(Call[Page[Reconciliation] | Refusal]):
    """To `QUERIES`; the newest first."""

    merchant_id: str
    limit: int = 50
    cursor: str | None = None


@attrs.frozen
class GetOrder(Call[Order | None]):
    merchant_id: str
    order_id: str


@attrs.frozen
class ListOrders(Call[Page[Order] | Refusal]):
    """Newest first by the time of the order."""

    merchant_id: str
    customer_id: str | None = None
    limit: int = 50
    cursor: str | None = None


@attrs.frozen
class OrderTotals:
    """`total_minor` by currency, over all orders of a merchant."""

    orders: int
    customers: int
    total_minor: dict[str, int]


@attrs.frozen
class GetOrderTotals(Call[OrderTotals]):
    merchant_id: str


@attrs.frozen
class BuyerSummary:
    """What a customer has bought, merged customers counted with the one they became.

    `orders`, the last one's time (None without any) and `spent_minor`, net of refunds, are of
    those in the currency asked for; `foreign_orders` counts the others.
    """

    customer_id: str
    orders: int
    last_ordered_at: datetime | None
    spent_minor: int
    foreign_orders: int


@attrs.frozen
class SummariseBuyers(Call[tuple[BuyerSummary, ...]]):
    """To `QUERIES`: the next `limit` customers after the one given, by id, with their orders up to
    `until`; fewer only at the end. Cancelled orders do not count, and erased customers are left
    out. At most `MAX_BUYERS`."""

    merchant_id: str
    currency: str
    until: datetime
    after: str = ""
    limit: int = 200


MAX_BUYERS = 1_000
