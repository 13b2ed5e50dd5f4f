"""What Shopify's webhooks say, as orders, refunds and customers of ours. Without I/O."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

import attrs
import msgspec

from actors.core.contacts import email_key, phone_key
from actors.core.importing.money import minor_units
from actors.core.messages import (
    Channel,
    CustomerData,
    ExternalId,
    Order,
    OrderLine,
    Refund,
)
from actors.vocabulary import Refusal

SOURCE = "shopify"

ORDERS_CREATE, ORDERS_PAID = "orders-create", "orders-paid"
ORDERS_CANCELLED, REFUNDS_CREATE = "orders-cancelled", "refunds-create"
CUSTOMERS_CREATE, CUSTOMERS_UPDATE = "customers-create", "customers-update"
CUSTOMERS_DELETE = "customers-delete"
DATA_REQUEST, CUSTOMERS_REDACT = "customers-data_request", "customers-redact"
SHOP_REDACT = "shop-redact"

TOPICS = frozenset(
    {
        ORDERS_CREATE,
        ORDERS_PAID,
        ORDERS_CANCELLED,
        REFUNDS_CREATE,
        CUSTOMERS_CREATE,
        CUSTOMERS_UPDATE,
        CUSTOMERS_DELETE,
        DATA_REQUEST,
        CUSTOMERS_REDACT,
        SHOP_REDACT,
    }
)
"""As they stand in the path: Shopify's names with a hyphen for the slash."""

PAID = frozenset({"paid", "partially_refunded", "refunded"})
MAX_LINES = 200
NAME_MAX = 200
UNKNOWN_SKU = "-"

Number = Annotated[int, msgspec.Meta(ge=1, le=2**62)]


class Unusable(ValueError):
    """The body does not say what its topic promises."""


class Consent(msgspec.Struct, frozen=True):
    state: str | None = None


class Person(msgspec.Struct, frozen=True):
    id: Number
    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    email_marketing_consent: Consent | None = None
    sms_marketing_consent: Consent | None = None


class LineItem(msgspec.Struct, frozen=True):
    quantity: int = 1
    price: str = "0"
    sku: str | None = None


class ShopifyOrder(msgspec.Struct, frozen=True):
    id: Number
    created_at: datetime
    currency: str
    total_price: str
    financial_status: str | None = None
    customer: Person | None = None
    line_items: tuple[LineItem, ...] = ()
    cancelled_at: datetime | None = None


class MoneyMoved(msgspec.Struct, frozen=True):
    kind: str
    amount: str
    status: str = "success"
    currency: str | None = None


class ShopifyRefund(msgspec.Struct, frozen=True):
    id: Number
    order_id: Number
    created_at: datetime
    transactions: tuple[MoneyMoved, ...] = ()


class Named(msgspec.Struct, frozen=True):
    id: Number


class PrivacyBody(msgspec.Struct, frozen=True):
    customer: Named | None = None
    data_request: Named | None = None


class _AnyBody(msgspec.Struct, frozen=True):
    """As much as is needed to tell what a webhook is about."""

    id: Any = None
    order_id: Any = None
    customer: Any = None


@attrs.frozen
class PaidOrder:
    """An order, and the customer who placed it where the shop tells who that is."""

    order: Order
    customer: CustomerData | None


def about(topic: str, body: str) -> str:
    """The line in which a webhook waits: one for each order, and one for each customer."""
    try:
        told = msgspec.json.decode(body, type=_AnyBody)
    except msgspec.MsgspecError:
        return topic
    if topic == REFUNDS_CREATE:
        return _line("order", told.order_id)
    if topic.startswith("orders-"):
        return _line("order", told.id)
    named = told.customer.get("id") if isinstance(told.customer, dict) else told.id
    return _line("customer", named)


def _line(what: str, number: Any) -> str:
    return f"{SOURCE}:{what}:{number}"[:200]


def decoded(body: str, type_: type[Any]) -> Any:
    """Raises `Unusable`."""
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Unusable(str(error)[:200]) from None


def order_id_of(number: int) -> str:
    return f"{SOURCE}-{number}"


def external_id_of(number: int) -> ExternalId:
    return ExternalId(SOURCE, str(number))


def customer_data(person: Person) -> CustomerData:
    """Addresses and numbers that are none are left out: the shop does not check them."""
    name = " ".join(filter(None, (person.first_name, person.last_name))).strip()
    shown = "".join(c for c in name if c.isprintable())[:NAME_MAX]
    return CustomerData(
        display_name=shown or None,
        email=_usable(person.email, email_key),
        phone=_usable(person.phone, phone_key),
        external_ids=(external_id_of(person.id),),
        consents=tuple(_consents(person)),
    )


def _usable(text: str | None, key: Any) -> str | None:
    return text if text and not isinstance(key(text), Refusal) else None


def _consents(person: Person) -> Iterable[tuple[Channel, bool]]:
    told = (
        (Channel.EMAIL, person.email_marketing_consent),
        (Channel.SMS, person.sms_marketing_consent),
    )
    for channel, consent in told:
        if consent is not None and consent.state is not None:
            yield channel, consent.state == "subscribed"


def is_paid(order: ShopifyOrder) -> bool:
    """One that is paid for earns points; until then the shop may change it."""
    return order.financial_status in PAID and order.cancelled_at is None


def paid_order(order: ShopifyOrder, customer_id: str) -> Order:
    """The order as ours. Raises `Unusable`."""
    lines = tuple(_order_line(line, order.currency) for line in order.line_items[:MAX_LINES])
    return Order(
        order_id=order_id_of(order.id),
        customer_id=customer_id,
        ordered_at=order.created_at.astimezone(UTC),
        currency=order.currency,
        total_minor=_minor(order.total_price, order.currency),
        items=sum(line.quantity for line in lines),
        lines=tuple(line for line in lines if line.quantity),
    )


def _order_line(line: LineItem, currency: str) -> OrderLine:
    sku = (line.sku or UNKNOWN_SKU).strip().upper()[:32]
    return OrderLine(sku or UNKNOWN_SKU, max(0, line.quantity), _minor(line.price, currency))


def _minor(text: str, currency: str) -> int:
    try:
        return minor_units(text, currency)
    except ValueError as error:
        raise Unusable(f"amount: {error}") from None


def refund_of(refund: ShopifyRefund, currency: str) -> Refund | None:
    """What was paid back; None where only goods were taken back. Raises `Unusable`."""
    amount = sum(
        _minor(moved.amount, currency)
        for moved in refund.transactions
        if moved.kind == "refund" and moved.status == "success"
    )
    if not amount:
        return None
    return Refund(
        order_id_of(refund.order_id),
        f"{SOURCE}-{refund.id}",
        amount,
        refund.created_at.astimezone(UTC),
    )
