"""One line of a file: an order, or what is wrong with it."""

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

import attrs

from actors.core.messages import Order
from actors.core.model import (
    CURRENCIES,
    FUTURE_TOLERANCE,
    IDS,
    MAX_ITEMS,
    OLDEST_ORDER,
)
from actors.vocabulary import MAX_AMOUNT
from cli.importing.columns import Layout
from cli.importing.money import minor_units

DATE = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII
)
ID_RULE = "must be 1 to 64 of A-Z a-z 0-9 . _ : @ - and start with a letter or digit"
DAYS_REMEMBERED = 10_000
MAX_SHOWN = 80


@attrs.frozen
class RowError:
    """A line that is not an order. `column` is empty when it concerns the whole line."""

    line: int
    column: str
    value: str
    reason: str


class BadValue(Exception):
    """A value that cannot be used."""

    def __init__(self, column: str, value: str, reason: str) -> None:
        super().__init__(f"{column}: {reason}")
        self.column = column
        self.value = value[:MAX_SHOWN]
        self.reason = reason


class RowParser:
    """Turns the lines of one file into orders.

    A file without order ids gets ids made from the content of the line; the second line of the
    same content gets another id, so that a repeated import makes the same ids.
    """

    def __init__(self, layout: Layout, currency: str, now: datetime) -> None:
        self._layout = layout
        self._currency = currency
        self._latest = now + FUTURE_TOLERANCE
        self._occurrences: Counter[bytes] = Counter()

    def parse(self, line: str) -> Order:
        """The order in a line. Raises `BadValue`."""
        layout = self._layout
        values = self._split(line)
        if len(values) != layout.width:
            reason = f"{len(values)} columns instead of {layout.width}"
            raise BadValue("", line, reason)
        currency = self._currency
        if layout.currency is not None:
            currency = _currency(values[layout.currency].strip() or currency)
        return Order(
            self._order_id(values),
            _id("customer_id", values[layout.customer_id].strip()),
            self._ordered_at(values[layout.ordered_at].strip()),
            currency,
            _total(values[layout.total].strip(), currency),
            _items(values[layout.items].strip()) if layout.items is not None else 0,
        )

    def _split(self, line: str) -> list[str]:
        if '"' not in line:
            return line.split(self._layout.delimiter)
        try:
            return next(csv.reader([line], delimiter=self._layout.delimiter, strict=True))
        except csv.Error as error:
            raise BadValue("", line, f"quotes: {error}") from error

    def _order_id(self, values: Sequence[str]) -> str:
        if self._layout.order_id is not None:
            return _id("order_id", values[self._layout.order_id].strip())
        content = "\x1f".join(value.strip() for value in values).encode()
        digest = hashlib.blake2b(content, digest_size=12).digest()
        self._occurrences[digest] += 1
        number = self._occurrences[digest]
        return f"csv-{digest.hex()}" + (f"-{number}" if number > 1 else "")

    def _ordered_at(self, text: str) -> datetime:
        moment = _moment(text)
        if moment is None:
            raise BadValue("ordered_at", text, "not a date such as 2024-02-29 or with T12:30:00Z")
        if moment < OLDEST_ORDER:
            raise BadValue("ordered_at", text, "before 1970")
        if moment > self._latest:
            raise BadValue("ordered_at", text, "in the future")
        return moment


@lru_cache(DAYS_REMEMBERED)
def _moment(text: str) -> datetime | None:
    """The time in UTC; one without a zone is taken for UTC."""
    if DATE.fullmatch(text) is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _id(column: str, text: str) -> str:
    if IDS.fullmatch(text) is None:
        raise BadValue(column, text, ID_RULE if text else "missing")
    return text


def _currency(text: str) -> str:
    if CURRENCIES.fullmatch(text) is None:
        raise BadValue("currency", text, "not a currency code such as USD")
    return text


def _total(text: str, currency: str) -> int:
    try:
        minor = minor_units(text, currency)
    except ValueError as error:
        raise BadValue("total", text, str(error)) from error
    if minor > MAX_AMOUNT:
        raise BadValue("total", text, f"more than {MAX_AMOUNT} minor units")
    return minor


def _items(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) > MAX_ITEMS:
        raise BadValue("items", text, f"not a whole number from 0 to {MAX_ITEMS}")
    return int(text)
