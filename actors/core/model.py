"""The core domain's decisions, without I/O."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from actors.core.messages import Order, OrderResult, OrderStatus
from actors.vocabulary import CURRENCY_PATTERN, ID_PATTERN, MAX_AMOUNT, Refusal, RefusalKind

IDS = re.compile(ID_PATTERN)
CURRENCIES = re.compile(CURRENCY_PATTERN)
MAX_ITEMS = 10**6

OLDEST_ORDER = datetime(1970, 1, 1, tzinfo=UTC)
FUTURE_TOLERANCE = timedelta(days=1)
"""Clocks differ, and some write local time as if it were UTC."""


def invalid(code: str, detail: str) -> Refusal:
    return Refusal(RefusalKind.INVALID, code, detail)


def check_id(what: str, value: str) -> Refusal | None:
    """Ids start with a letter or digit and have up to 64 of `A-Z a-z 0-9 . _ : @ -`."""
    if IDS.fullmatch(value):
        return None
    return invalid("invalid_id", f"{what} {value[:80]!r} is not a valid id")


def check_currency(currency: str) -> Refusal | None:
    """Three capital letters, as in ISO 4217."""
    if CURRENCIES.fullmatch(currency):
        return None
    return invalid("invalid_currency", f"currency {currency[:80]!r} is not an ISO 4217 code")


def check_order(order: Order) -> Refusal | None:
    """What must hold of an order by itself."""
    refusal = (
        check_id("order_id", order.order_id)
        or check_id("customer_id", order.customer_id)
        or check_currency(order.currency)
    )
    if refusal is not None:
        return refusal
    if not 0 <= order.total_minor <= MAX_AMOUNT:
        return invalid("invalid_total", f"total must be 0 to {MAX_AMOUNT} minor units")
    if not 0 <= order.items <= MAX_ITEMS:
        return invalid("invalid_items", f"items must be 0 to {MAX_ITEMS}")
    return None


def check_time(ordered_at: datetime, now: datetime) -> Refusal | None:
    """An order was placed between 1970 and about now."""
    if ordered_at < OLDEST_ORDER:
        return invalid("time_too_early", "ordered_at must not be before 1970")
    if ordered_at > now + FUTURE_TOLERANCE:
        return invalid("time_in_future", "ordered_at must not be in the future")
    return None


def decide_order(
    order: Order, recorded: Mapping[str, Order], now: datetime
) -> OrderResult | Refusal:
    """Record, recognise or refuse an order, given what is recorded under its id."""
    refusal = check_order(order) or check_time(order.ordered_at, now)
    if refusal is not None:
        return refusal
    known = recorded.get(order.order_id)
    if known is None:
        return OrderResult(order, OrderStatus.RECORDED)
    if known == order:
        return OrderResult(known, OrderStatus.DUPLICATE)
    return Refusal(
        RefusalKind.CONFLICT,
        "order_conflict",
        f"order {order.order_id} was recorded before with another content",
    )
