"""Refunds and cancellations of orders: decided without I/O, and what is written for them."""

from datetime import datetime
from typing import Any

from actors.core.messages import (
    ORDER_REFUNDED,
    Order,
    OrderStatus,
    Refund,
    RefundResult,
)
from actors.core.model import check_id, check_time, invalid
from actors.core.queries import ADD_TO_REFUNDED, CANCEL_ORDER, INSERT_REFUND
from actors.core.records import recorded_payload
from actors.vocabulary import MAX_AMOUNT, Refusal, RefusalKind
from runtime.storage import Entry, Row, Write
from runtime.storage.outbox import outbox_write

CANCELLATION = "cancellation"
"""Stands for the refund id in the event of a cancellation; no refund may be called so."""

REASON_MAX = 200


def order_unknown(order_id: str) -> Refusal:
    detail = f"there is no order {order_id[:64]}"
    return Refusal(RefusalKind.NOT_FOUND, "order_unknown", detail)


def decide_refund(
    order: Order | None, known: Refund | None, refund: Refund, now: datetime
) -> RefundResult | Refusal:
    """Record, recognise or refuse a refund, given what is recorded under its ids."""
    refusal = _check(refund, now)
    if refusal is not None:
        return refusal
    if order is None:
        return order_unknown(refund.order_id)
    if known == refund:
        return RefundResult(known, OrderStatus.DUPLICATE, order.refunded_minor)
    if known is not None:
        detail = f"refund {refund.refund_id} was recorded before with another content"
        return Refusal(RefusalKind.CONFLICT, "refund_conflict", detail)
    refunded_minor = order.refunded_minor + refund.amount_minor
    if refunded_minor > order.total_minor:
        left = order.total_minor - order.refunded_minor
        detail = f"of the order {left} minor units are left to be refunded"
        return Refusal(RefusalKind.CONFLICT, "refund_exceeds_order", detail)
    return RefundResult(refund, OrderStatus.RECORDED, refunded_minor)


def _check(refund: Refund, now: datetime) -> Refusal | None:
    if refund.refund_id == CANCELLATION:
        return invalid("invalid_id", f"a refund may not be called {CANCELLATION}")
    if not 1 <= refund.amount_minor <= MAX_AMOUNT:
        return invalid("invalid_amount", f"amount must be 1 to {MAX_AMOUNT} minor units")
    if refund.reason is not None and len(refund.reason) > REASON_MAX:
        return invalid("invalid_reason", f"a reason has at most {REASON_MAX} characters")
    return check_id("refund_id", refund.refund_id) or check_time(refund.refunded_at, now)


def refund_entry(
    merchant_id: str, order: Order, earner: str, refund: Refund, event_id: str, now: datetime
) -> Entry:
    """The refund, the order's sum, and the event; none of a cancelled order, whose points are
    gone."""
    key = (merchant_id, order.order_id)
    row = (refund.refund_id, refund.amount_minor, refund.refunded_at, refund.reason, now)
    writes = (
        Write(ADD_TO_REFUNDED, (*key, refund.amount_minor)),
        Write(INSERT_REFUND, (*key, *row)),
    )
    if order.cancelled_at is not None:
        return writes
    refunded = order.refunded_minor + refund.amount_minor
    event = _event(merchant_id, order, earner, refund.refund_id, refunded, event_id, now)
    return (*writes, event)


def cancel_entry(
    merchant_id: str,
    order: Order,
    earner: str,
    cancelled_at: datetime,
    event_id: str,
    now: datetime,
) -> Entry:
    """The order is cancelled, and the event."""
    write = Write(CANCEL_ORDER, (merchant_id, order.order_id, cancelled_at))
    event = _event(merchant_id, order, earner, CANCELLATION, order.total_minor, event_id, now)
    return (write, event)


def _event(
    merchant_id: str,
    order: Order,
    earner: str,
    refund_id: str,
    refunded_minor: int,
    event_id: str,
    now: datetime,
) -> Write:
    payload: dict[str, Any] = {
        "order": recorded_payload(order, earner),
        "refund_id": refund_id,
        "before_minor": order.refunded_minor,
        "refunded_minor": refunded_minor,
    }
    return outbox_write(
        merchant_id=merchant_id,
        event_id=event_id,
        topic=ORDER_REFUNDED,
        key=earner,
        payload=payload,
        created_at=now,
    )


def refund_of(row: Row) -> Refund:
    return Refund(row[0], row[1], row[2], row[3], row[4])
