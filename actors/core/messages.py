"""What other parts of LoyalNest may say to the core domain, and what it answers."""

from datetime import datetime
from enum import Enum

import attrs

from actors.vocabulary import Idempotency, Page, Refusal
from runtime.message import Call
from runtime.outbox import OutboxEvent

MERCHANTS = "core.merchants"
"""Name of the actor that keeps merchants."""

CUSTOMERS = "core.customers"
"""Name of the actor that keeps customers."""

ORDERS = "core.orders"
"""Name of the actor that records orders."""

QUERIES = "core.queries"
"""Name of the actor that reads the store."""

ORDER_RECORDED = "core.order_recorded"
"""Topic of the outbox event that follows every recorded order; payload: `OrderRecorded`."""


@attrs.frozen
class Merchant:
    merchant_id: str
    name: str
    currency: str
    created_at: datetime


@attrs.frozen
class RegisterMerchant(Call[Merchant | Refusal]):
    """Create a merchant; the same registration again answers the same merchant.

    `publishes` are events of the transaction that creates it.
    """

    merchant_id: str
    name: str
    currency: str
    publishes: tuple[OutboxEvent, ...] = ()


@attrs.frozen
class GetMerchant(Call[Merchant | None]):
    """To `MERCHANTS`, which answers from memory once it has seen the merchant."""

    merchant_id: str


@attrs.frozen
class Customer:
    merchant_id: str
    customer_id: str
    display_name: str | None
    created_at: datetime


@attrs.frozen
class CreatedCustomer:
    customer: Customer
    replayed: bool


@attrs.frozen
class CreateCustomer(Call[CreatedCustomer | Refusal]):
    """Without `customer_id` one is made. An id that is taken is a conflict, unless the
    idempotency key is the one it was created with."""

    merchant_id: str
    customer_id: str | None
    display_name: str | None
    idempotency: Idempotency | None = None


@attrs.frozen
class GetCustomer(Call[Customer | None]):
    merchant_id: str
    customer_id: str


@attrs.frozen
class ListCustomers(Call[Page[Customer] | Refusal]):
    """In the order of their ids."""

    merchant_id: str
    limit: int = 50
    cursor: str | None = None


@attrs.frozen
class OrderLine:
    """`unit_price_minor` in minor units of the order's currency."""

    sku: str
    quantity: int
    unit_price_minor: int


@attrs.frozen
class Order:
    """`total_minor` is what was paid, in minor units of `currency`, never negative."""

    order_id: str
    customer_id: str
    ordered_at: datetime
    currency: str
    total_minor: int
    items: int
    lines: tuple[OrderLine, ...] = ()


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

    Without an idempotency key the order ids alone make a repetition harmless.
    """

    merchant_id: str
    orders: tuple[Order, ...]
    idempotency: Idempotency | None = None


MAX_ORDERS = 1_000


@attrs.frozen
class OrderRecorded:
    """Payload of the outbox event."""

    order_id: str
    customer_id: str
    total_minor: int
    currency: str
    ordered_at: datetime


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
