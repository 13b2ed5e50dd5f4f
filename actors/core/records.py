"""Between the core domain's values and its tables."""

from datetime import datetime
from typing import Any

from actors.core.messages import ORDER_RECORDED, Customer, Merchant, Order, OrderLine
from actors.core.queries import ENSURE_CUSTOMER, INSERT_CUSTOMER, INSERT_MERCHANT, INSERT_ORDER
from runtime.storage import Entry, Row, Write
from runtime.storage.outbox import outbox_write


def merchant_entry(merchant: Merchant) -> Entry:
    row = (merchant.merchant_id, merchant.name, merchant.currency, merchant.created_at)
    return (Write(INSERT_MERCHANT, row),)


def merchant_of(row: Row) -> Merchant:
    return Merchant(row[0], row[1], row[2], row[3])


def customer_write(customer: Customer) -> Write:
    row = (
        customer.merchant_id,
        customer.customer_id,
        customer.display_name,
        customer.created_at,
    )
    return Write(INSERT_CUSTOMER, row)


def customer_of(row: Row) -> Customer:
    return Customer(row[0], row[1], row[2], row[3])


def order_entry(merchant_id: str, order: Order, event_id: str, now: datetime) -> Entry:
    """The order, its customer where that is new, and the event that follows it."""
    return (
        Write(ENSURE_CUSTOMER, (merchant_id, order.customer_id, now)),
        Write(INSERT_ORDER, _order_row(merchant_id, order, now)),
        outbox_write(
            merchant_id=merchant_id,
            event_id=event_id,
            topic=ORDER_RECORDED,
            key=order.customer_id,
            payload=_event(order),
            created_at=now,
        ),
    )


def _order_row(merchant_id: str, order: Order, now: datetime) -> tuple[Any, ...]:
    lines = [[line.sku, line.quantity, line.unit_price_minor] for line in order.lines]
    return (
        merchant_id,
        order.order_id,
        order.customer_id,
        order.ordered_at,
        order.currency,
        order.total_minor,
        order.items,
        lines,
        now,
    )


def _event(order: Order) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "customer_id": order.customer_id,
        "total_minor": order.total_minor,
        "currency": order.currency,
        "ordered_at": order.ordered_at,
    }


def order_of(row: Row) -> Order:
    return Order(
        order_id=row[0],
        customer_id=row[1],
        ordered_at=row[2],
        currency=row[3],
        total_minor=row[4],
        items=row[5],
        lines=tuple(OrderLine(*line) for line in row[6]),
    )
