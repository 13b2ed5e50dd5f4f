"""Values of a row: what they mean, and what is wrong with those that mean nothing."""

import csv
import re
from datetime import UTC, datetime
from functools import lru_cache

from actors.core.importing.columns import Layout
from actors.core.importing.money import minor_units
from actors.core.model import CURRENCIES, IDS, OLDEST_ORDER
from actors.vocabulary import MAX_AMOUNT

DATE = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?( ?(Z|[+-]\d\d:?\d\d))?)?", re.ASCII
)
ID_RULE = "must be 1 to 64 of A-Z a-z 0-9 . _ : @ - and start with a letter or digit"
DATE_RULE = "not a date such as 2024-02-29 or with T12:30:00Z"
DAYS_REMEMBERED = 10_000
MAX_SHOWN = 80

YES = ("yes", "y", "true", "1", "ja", "subscribed")
NO = ("no", "n", "false", "0", "nein", "not_subscribed", "unsubscribed")
MEANINGS = dict.fromkeys(YES, True) | dict.fromkeys(NO, False)


class BadValue(Exception):
    """A value that cannot be used."""

    def __init__(self, column: str, value: str, reason: str) -> None:
        super().__init__(f"{column}: {reason}")
        self.column = column
        self.value = value[:MAX_SHOWN]
        self.reason = reason


def split(layout: Layout, line: str) -> list[str]:
    """The values of a row. Raises `BadValue` when they do not fit the header."""
    try:
        values = layout.split(line)
    except csv.Error as error:
        raise BadValue("", line, f"quotes: {error}") from error
    if len(values) != layout.width:
        raise BadValue("", line, f"{len(values)} columns instead of {layout.width}")
    return values


def id_value(column: str, text: str) -> str:
    if IDS.fullmatch(text) is None:
        raise BadValue(column, text, ID_RULE if text else "missing")
    return text


def currency_value(text: str) -> str:
    if CURRENCIES.fullmatch(text) is None:
        raise BadValue("currency", text, "not a currency code such as USD")
    return text


def total_value(text: str, currency: str) -> int:
    try:
        minor = minor_units(text, currency)
    except ValueError as error:
        raise BadValue("total", text, str(error)) from error
    if minor > MAX_AMOUNT:
        raise BadValue("total", text, f"more than {MAX_AMOUNT} minor units")
    return minor


def whole_value(column: str, text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 15 or not least <= int(text) <= most:
        raise BadValue(column, text, f"not a whole number from {least} to {most}")
    return int(text)


def yes_or_no(column: str, text: str) -> bool | None:
    """None where nothing is said."""
    word = text.lower().replace(" ", "_")
    if not word:
        return None
    meaning = MEANINGS.get(word)
    if meaning is None:
        raise BadValue(column, text, "neither yes nor no")
    return meaning


def past_moment(column: str, text: str, latest: datetime) -> datetime:
    """A time from 1970 to `latest`."""
    moment = moment_value(column, text)
    if moment < OLDEST_ORDER:
        raise BadValue(column, text, "before 1970")
    if moment > latest:
        raise BadValue(column, text, "in the future")
    return moment


def moment_value(column: str, text: str) -> datetime:
    moment = _moment(text)
    if moment is None:
        raise BadValue(column, text, DATE_RULE)
    return moment


@lru_cache(DAYS_REMEMBERED)
def _moment(text: str) -> datetime | None:
    """The time in UTC; one without a zone is taken for UTC."""
    if DATE.fullmatch(text) is None:
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" +", "+").replace(" -", "-"))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
