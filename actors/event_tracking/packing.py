"""Events on their way in: scrubbed, encoded and packed, so that all that follows is bytes."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from actors.event_tracking.messages import MAX_EVENT_BYTES, Importance, Parcel
from actors.event_tracking.scrubbing import scrub

DIGEST_BYTES: Final = 12

PARCEL_EVENTS_MAX: Final = 250
PARCEL_BYTES_MAX: Final = 128 * 1024
"""Of a parcel, unless its one event alone is more."""

IMPORTANCES: Final = {each.name.lower(): each for each in Importance}

_properties: Final = msgspec.json.Encoder(order="sorted").encode
_row: Final = msgspec.json.Encoder().encode


class NewEvent(Protocol):
    """An event as a client sends it. Its properties are the packer's to change."""

    @property
    def message_id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def customer_id(self) -> str | None: ...
    @property
    def occurred_at(self) -> datetime: ...
    @property
    def properties(self) -> dict[str, Any]: ...
    @property
    def importance(self) -> str:
        """The name of an `Importance`, in lower case."""


class TooLarge(ValueError):
    """The properties of an event have more than `MAX_EVENT_BYTES`."""

    def __init__(self, message_id: str) -> None:
        super().__init__(message_id)
        self.message_id = message_id


class EventRow(NamedTuple):
    """An event in transport and in the table, all of it text. `digest` is that of its body: what
    two events with the same id are compared by."""

    merchant_id: str
    message_id: str
    type: str
    customer_id: str | None
    occurred_at: str
    received_at: str
    digest: str
    properties: str


_rows: Final = msgspec.json.Decoder(list[EventRow]).decode


def encoded_rows(rows: Iterable[EventRow]) -> bytes:
    """Rows as a parcel has them."""
    return b",".join(map(_row, rows))


def decoded_rows(rows: bytes) -> list[EventRow]:
    """The rows of a parcel. Raises `msgspec.MsgspecError`."""
    return _rows(b"[%b]" % rows)


def time_text(moment: datetime) -> str:
    """A time as rows have it: in UTC, of one width. `isoformat` takes four times as long."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    quoted = _row(moment)  # without a fraction on the second, else with six digits
    fraction = ".000000" if moment.microsecond == 0 else ""
    return f"{quoted[1:-2].decode()}{fraction}+00:00"


def pack(merchant_id: str, events: Iterable[NewEvent], received_at: datetime) -> list[Parcel]:
    """Parcels of a merchant's events, each of neighbours of one importance.

    Raises `TooDeep` and `TooLarge`, and `OverflowError` for times that UTC does not have.
    """
    received = time_text(received_at)
    parcels: list[Parcel] = []
    run: list[bytes] = []
    importance, size = "", 0
    for event in events:
        row = _packed(merchant_id, event, received)
        full = len(run) >= PARCEL_EVENTS_MAX or size + len(row) > PARCEL_BYTES_MAX
        if run and (full or event.importance != importance):
            parcels.append(_parcel(merchant_id, importance, run))
            run, size = [], 0
        importance = event.importance
        run.append(row)
        size += len(row)
    if run:
        parcels.append(_parcel(merchant_id, importance, run))
    return parcels


def _packed(merchant_id: str, event: NewEvent, received: str) -> bytes:
    text = _properties(scrub(event.properties)).decode()
    if len(text) > MAX_EVENT_BYTES:
        raise TooLarge(event.message_id)
    occurred = time_text(event.occurred_at)
    body = f"{event.type}\n{event.customer_id}\n{occurred}\n{text}"
    digest = blake2b(body.encode(), digest_size=DIGEST_BYTES).hexdigest()
    return _row(
        (
            merchant_id,
            event.message_id,
            event.type,
            event.customer_id,
            occurred,
            received,
            digest,
            text,
        )
    )


def _parcel(merchant_id: str, importance: str, rows: Sequence[bytes]) -> Parcel:
    return Parcel(merchant_id, IMPORTANCES[importance], len(rows), b",".join(rows))


def merged(parcels: Sequence[Parcel]) -> Parcel:
    """Parcels of one merchant as one."""
    if len(parcels) == 1:
        return parcels[0]
    first, events = parcels[0], sum(parcel.events for parcel in parcels)
    rows = b",".join([parcel.rows for parcel in parcels])
    return Parcel(first.merchant_id, first.importance, events, rows)
