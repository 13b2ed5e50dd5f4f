"""How values are kept in SQLite, which knows numbers, text and bytes only.

Times are text of one width in UTC, so that text order is time order. The declared type of a
column says how its values are read back.
"""

import re
import sqlite3
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

TIMES_KEPT = 1_024
"""Texts of times that are kept for the next one that needs them."""

PARAMETER = re.compile(r"'(?:[^']|'')*'|\$(\d+)")


def register() -> None:
    """Teach the `sqlite3` module, for the whole process, how to keep our values."""
    sqlite3.register_adapter(datetime, _time_text)
    sqlite3.register_adapter(dict, _json_text)
    sqlite3.register_adapter(list, _json_text)
    sqlite3.register_converter("TIMESTAMPTZ", _time)
    sqlite3.register_converter("JSONB", _decode)
    sqlite3.register_converter("BOOLEAN", _boolean)


@lru_cache(maxsize=TIMES_KEPT)
def _time_text(moment: datetime) -> str:
    """One time is mostly written to several columns and rows."""
    if moment.tzinfo is not UTC:
        if moment.tzinfo is None:
            raise ValueError("a time without a time zone")
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")


def _time(text: bytes) -> datetime:
    moment = datetime.fromisoformat(text.decode())
    return moment if moment.tzinfo is UTC else moment.replace(tzinfo=UTC)


def _json_text(value: Any) -> str:
    return _encode(value).decode()


def _boolean(text: bytes) -> bool:
    return text == b"1"


@lru_cache(maxsize=1024)
def sqlite_sql(sql: str) -> str:
    """The SQL with `?1` for `$1`, outside of string literals."""
    return PARAMETER.sub(lambda match: f"?{match[1]}" if match[1] else match[0], sql)
