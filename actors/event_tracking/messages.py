"""What other parts of LoyalNest may say to the event_tracking domain, and what it answers."""

from datetime import datetime
from enum import IntEnum

import attrs

from actors.vocabulary import Page, Refusal
from runtime.message import Call

TRACKER = "event_tracking.tracker"
"""Name of the actor that takes events. It never waits for anything."""

QUERIES = "event_tracking.queries"
"""Name of the actor that reads them, several questions at a time."""

FORGETTER = "event_tracking.forgetter"
"""Name of the actor that hears of customers who are erased, or merged into others."""

MAX_EVENT_BYTES = 32 * 1024
"""Of one event, as JSON has it."""

MAX_BATCH_BYTES = 500 * 1024
"""Of one request with many events."""


class Importance(IntEnum):
    """What is dropped last when there is no room: the highest."""

    LOW = 0
    NORMAL = 1
    HIGH = 2


@attrs.frozen
class Parcel:
    """Events of one merchant and importance, scrubbed and encoded, as `packing.pack` makes them.

    `rows` are JSON arrays, one for each event, with commas between them.
    """

    merchant_id: str
    importance: Importance
    events: int
    rows: bytes = attrs.field(repr=False)


@attrs.frozen
class Accepted:
    """How many events were taken, and how many of those were dropped for want of room, or in
    favour of more important ones."""

    accepted: int
    dropped: int = 0


@attrs.frozen
class Track(Call[Accepted]):
    """To `TRACKER`: take events. Answered from memory, at once, whatever happens to the database
    and the disk; `tell` it where the answer does not matter."""

    parcels: tuple[Parcel, ...]


@attrs.frozen
class StoredEvent:
    """`properties` is the JSON text of an object. `received_at` is when it was accepted."""

    message_id: str
    type: str
    customer_id: str | None
    occurred_at: datetime
    received_at: datetime
    properties: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class ListEvents(Call[Page[StoredEvent] | Refusal]):
    """To `QUERIES`: in the order of `occurred_at`, then `message_id`. `since` is included, `until`
    is not."""

    merchant_id: str
    type: str | None = None
    customer_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 50
    cursor: str | None = None


@attrs.frozen
class HourCount:
    """Events of a type that occurred in the hour that begins at `hour`."""

    hour: datetime
    type: str
    events: int


@attrs.frozen(kw_only=True)
class CountEvents(Call[Page[HourCount] | Refusal]):
    """To `QUERIES`: stored events by hour and type, in that order. Hours that begin at `since` or
    later, and before `until`."""

    merchant_id: str
    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 50
    cursor: str | None = None


@attrs.frozen(kw_only=True)
class Totals:
    """What became of all events of a merchant: accepted = stored + deduplicated + dropped +
    buffered, at every moment.

    `conflicts` are those of the deduplicated ones that said something else under the same id.
    `reasons` says why events were dropped.
    """

    accepted: int
    stored: int
    deduplicated: int
    conflicts: int
    dropped: int
    buffered: int
    reasons: dict[str, int]


@attrs.frozen
class GetTotals(Call[Totals]):
    """To `QUERIES`. While the database is away, they are told from memory where they have been
    told before; else it raises `StorageUnavailable`."""

    merchant_id: str
