"""Events between domains: what the relay delivers to consumers."""

from datetime import datetime
from typing import Any, NamedTuple

import attrs

from runtime.message import Call, Cast

RELAY = "platform.relay"
"""Name under which the relay is registered."""


class Lane(NamedTuple):
    """What a consumer gets strictly in order."""

    merchant_id: str
    topic: str
    key: str


@attrs.frozen
class OutboxEvent:
    """`event_id` sorts by time of origin; `payload` is the JSON value that was published.

    `trace_id` is the trace of the work that published it, and of all that follows from it.
    """

    merchant_id: str
    event_id: str
    topic: str
    key: str
    payload: object
    created_at: datetime
    trace_id: str | None = None

    @property
    def lane(self) -> Lane:
        return Lane(self.merchant_id, self.topic, self.key)


@attrs.frozen
class Deliver(Call[None]):
    """To a consumer: events of one topic, in order. An answer means that they took effect.

    Delivery is at least once: the consumer recognises what it has seen before. It comes under the
    trace that all of the events share; where they have several, the consumer handles each
    `under_trace` of its own.
    """

    events: tuple[OutboxEvent, ...]

    @property
    def trace_id(self) -> str | None:
        """The trace of all events; None where they differ."""
        traces = {event.trace_id for event in self.events}
        return traces.pop() if len(traces) == 1 else None


@attrs.frozen
class Nudge(Cast):
    """To those whom a `Statement` concerns, such as the relay: rows of it were committed."""


@attrs.frozen
class GetBacklog(Call[int]):
    """To the relay: the number of events that are not delivered yet, dead ones not counted.

    One that several consumers are late with counts for each of them.
    """


@attrs.frozen
class DeadEvent:
    """An event that `consumer` failed on too often.

    `history` has its errors and who put it back, oldest first: each with `at` (RFC 3339) and
    `what`, which is `failed` (with `error`) or `put back` (with `who` and `why`).
    """

    event: OutboxEvent
    consumer: str
    attempts: int
    history: tuple[dict[str, Any], ...]
    dead_at: datetime


@attrs.frozen
class ListDeadEvents(Call[tuple[DeadEvent, ...]]):
    """To the relay: dead events of all merchants, in the order of event id and consumer.

    The next page comes `after` the last (event id, consumer) of this one. Raises `StorageError`.
    """

    limit: int = 50
    after: tuple[str, str] = ("", "")


@attrs.frozen
class GetDeadEvent(Call[DeadEvent | None]):
    """To the relay: one dead event; None when there is none. Raises `StorageError`."""

    merchant_id: str
    consumer: str
    event_id: str


@attrs.frozen
class PutBackEvent(Call[DeadEvent | None]):
    """To the relay: try a dead event again, with all its attempts; None when it is not dead.

    It comes before what still waits in its lane, and after what was delivered meanwhile. `who`
    and `why` are kept in its history. Answered with the event as it waits then: no attempts
    spent, and `dead_at` saying when it had died. `publishes` are events of the same transaction.
    Raises `StorageError` or `ActorError` when not sure.
    """

    merchant_id: str
    consumer: str
    event_id: str
    who: str
    why: str
    publishes: tuple[OutboxEvent, ...] = ()
