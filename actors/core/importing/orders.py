"""One line of a file of orders."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from actors.core.importing.columns import Columns, Layout
from actors.core.importing.values import (
    currency_value,
    id_value,
    past_moment,
    split,
    total_value,
    whole_value,
)
from actors.core.messages import Order
from actors.core.model import FUTURE_TOLERANCE, MAX_ITEMS

ORDER_COLUMNS = Columns(
    names={
        "order_id": ("order_id", "order", "order_number", "id"),
        "customer_id": ("customer_id", "customer", "member_id"),
        "ordered_at": ("ordered_at", "order_date", "date", "created_at"),
        "items": ("items", "quantity", "units"),
        "total": ("total", "amount", "total_price"),
        "currency": ("currency",),
    },
    required=(("customer_id",), ("ordered_at",), ("total",)),
)


class OrderRows:
    """Turns the lines of one file into orders.

    A file without order ids gets ids made from the content of the line; the second line of the
    same content gets another id, so that a repeated import makes the same ids.
    """

    def __init__(self, layout: Layout, currency: str, now: datetime) -> None:
        self._layout = layout
        self._currency = currency
        self._latest = now + FUTURE_TOLERANCE
        self._occurrences: Counter[bytes] = Counter()

    @property
    def makes_ids(self) -> bool:
        """Whether the file has no order ids of its own."""
        return "order_id" not in self._layout.places

    def parse(self, line: str) -> Order:
        """The order in a line. Raises `BadValue`."""
        values = split(self._layout, line)
        value = self._layout.value
        currency = currency_value(value(values, "currency") or self._currency)
        items = "items" in self._layout.places
        return Order(
            self._order_id(values),
            id_value("customer_id", value(values, "customer_id")),
            past_moment("ordered_at", value(values, "ordered_at"), self._latest),
            currency,
            total_value(value(values, "total"), currency),
            whole_value("items", value(values, "items"), 0, MAX_ITEMS) if items else 0,
        )

    def _order_id(self, values: Sequence[str]) -> str:
        if not self.makes_ids:
            return id_value("order_id", self._layout.value(values, "order_id"))
        content = "\x1f".join(value.strip() for value in values).encode()
        digest = hashlib.blake2b(content, digest_size=12).digest()
        self._occurrences[digest] += 1
        number = self._occurrences[digest]
        return f"csv-{digest.hex()}" + (f"-{number}" if number > 1 else "")
