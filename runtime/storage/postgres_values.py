"""How values travel to and from PostgreSQL, beside what its driver does by itself.

Times are aware and come back in UTC; a time without a zone is refused instead of being taken for
local time. JSONB values are Python values.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""Where PostgreSQL's timestamps begin."""

MICROSECOND = timedelta(microseconds=1)
JSONB_VERSION = b"\x01"
"""What stands before the text in the binary form of a JSONB value."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


async def register(connection: asyncpg.Connection) -> None:
    """Teach a connection how to carry our values. Runs in asyncio."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_jsonb, decoder=_of_jsonb, format="binary"
    )
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", encoder=_timestamp, decoder=_time, format="tuple"
    )


def json_text(value: Any) -> str | None:
    """A JSON value as text; NULL stays NULL."""
    return _encode(value).decode() if value is not None else None


def _jsonb(value: Any) -> bytes:
    return JSONB_VERSION + _encode(value)


def _of_jsonb(data: bytes) -> Any:
    return _decode(memoryview(data)[1:])


def _timestamp(moment: datetime) -> tuple[int]:
    if moment.tzinfo is not UTC:
        if moment.tzinfo is None:
            raise ValueError("a time without a time zone")
        moment = moment.astimezone(UTC)
    return ((moment - EPOCH) // MICROSECOND,)


def _time(data: tuple[int]) -> datetime:
    return EPOCH + timedelta(microseconds=data[0])
