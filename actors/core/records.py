"""Between the core domain's values and its tables."""

from datetime import datetime
from typing import Any

from actors.core.customer_queries import ENSURE_CUSTOMER
from actors.core.messages import ORDER_RECORDED, Merchant, Order, OrderLine, OrderRecorded
from actors.core.queries import INSERT_MERCHANT, INSERT_ORDER
from runtime.storage import Entry, Row, Write
from runtime.storage.outbox import outbox_write


def merchant_entry(merchant: Merchant) -> Entry:
    row = (merchant.merchant_id, merchant.name, merchant.currency, merchant.created_at)
    return (Write(INSERT_MERCHANT, row),)


def containing(text: str) -> str:
    """The pattern (escape `!`) of what contains a text, in lower case."""
    escaped = "".join(f"!{each}" if each in "!%_" else each for each in text.lower())
    return f"%{escaped}%"


def merchant_of(row: Row) -> Merchant:
    return Merchant(row[0], row[1], row[2], row[3])


def order_entry(merchant_id: str, order: Order, earner: str, event_id: str, now: datetime) -> Entry:
    """The order, its customer where that is new, and the event that follows it. `earner` is who
    the points are for."""
    return (
        Write(ENSURE_CUSTOMER, (merchant_id, order.customer_id, now)),
        Write(INSERT_ORDER, _order_row(merchant_id, order, now)),
        outbox_write(
            merchant_id=merchant_id,
            event_id=event_id,
            topic=ORDER_RECORDED,
            key=earner,
            payload=recorded_payload(order, earner),
            created_at=now,
        ),
    )


def _order_row(merchant_id: str, order: Order, now: datetime) -> tuple[Any, ...]:
    return (
        merchant_id,
        order.order_id,
        order.customer_id,
        order.ordered_at,
        order.currency,
        order.total_minor,
        order.items,
        _lines(order),
        now,
    )


def _lines(order: Order | OrderRecorded) -> list[list[Any]]:
    return [[line.sku, line.quantity, line.unit_price_minor] for line in order.lines]


def recorded_payload(order: Order | OrderRecorded, earner: str) -> dict[str, Any]:
    """An `OrderRecorded` as JSON."""
    return {
        "order_id": order.order_id,
        "customer_id": earner,
        "total_minor": order.total_minor,
        "currency": order.currency,
        "ordered_at": order.ordered_at,
        "lines": [
            {"sku": sku, "quantity": quantity, "unit_price_minor": price}
            for sku, quantity, price in _lines(order)
        ],
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
        refunded_minor=row[7],
        cancelled_at=row[8],
    )
