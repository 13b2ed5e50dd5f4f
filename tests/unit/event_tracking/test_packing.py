"""Parcels of events: what is in one, and how times are written in it."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.event_tracking.messages import Importance
from actors.event_tracking.packing import (
    PARCEL_BYTES_MAX,
    PARCEL_EVENTS_MAX,
    decoded_rows,
    pack,
    time_text,
)

NOW = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ZONES = st.builds(timezone, st.timedeltas(timedelta(hours=-14), timedelta(hours=14)))


@attrs.frozen
class Seen:
    message_id: str
    importance: str = "normal"
    properties: dict[str, Any] = attrs.field(factory=dict)
    type: str = "seen"
    customer_id: str | None = None
    occurred_at: datetime = NOW


@given(
    st.timedeltas(NOW.min.replace(tzinfo=UTC) - NOW + DAY, NOW.max.replace(tzinfo=UTC) - NOW - DAY),
    st.just(UTC) | ZONES,
)
def test_times_are_written_as_isoformat_writes_them_in_utc(
    apart: timedelta, zone: timezone
) -> None:
    moment = (NOW + apart).astimezone(zone)
    assert time_text(moment) == moment.astimezone(UTC).isoformat(timespec="microseconds")


@pytest.mark.parametrize("microsecond", [0, 1, 500_000, 999_999])
def test_times_are_of_one_width(microsecond: int) -> None:
    text = time_text(NOW.replace(microsecond=microsecond))
    assert text == f"2026-05-01T00:00:00.{microsecond:06}+00:00"


@given(st.lists(st.sampled_from([each.name.lower() for each in Importance]), max_size=20))
def test_parcels_keep_the_order_and_hold_neighbours_of_one_importance(named: list[str]) -> None:
    parcels = pack("shop", [Seen(str(at), name) for at, name in enumerate(named)], NOW)
    told = [
        (row.message_id, parcel.importance.name.lower())
        for parcel in parcels
        for row in decoded_rows(parcel.rows)
    ]
    assert told == [(str(at), name) for at, name in enumerate(named)]
    assert sum(parcel.events for parcel in parcels) == len(named)
    changes = sum(before != after for before, after in pairwise(named))
    assert len(parcels) == (changes + 1 if named else 0)


def test_parcels_are_bounded_in_events_and_in_bytes() -> None:
    many = pack("shop", [Seen(str(at)) for at in range(2 * PARCEL_EVENTS_MAX + 1)], NOW)
    assert [parcel.events for parcel in many] == [PARCEL_EVENTS_MAX, PARCEL_EVENTS_MAX, 1]
    wide = pack("shop", [Seen(str(at), properties={"a": "x" * 30_000}) for at in range(9)], NOW)
    assert [parcel.events for parcel in wide] == [4, 4, 1]
    assert max(len(parcel.rows) for parcel in wide) <= PARCEL_BYTES_MAX
