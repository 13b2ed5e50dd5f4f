"""Events between domains: what the relay delivers to consumers."""

import attrs

from runtime.message import Call, Cast

RELAY = "platform.relay"
"""Name under which the relay is registered."""


@attrs.frozen
class OutboxEvent:
    """`event_id` sorts by time of origin; `payload` is the JSON value that was published."""

    merchant_id: str
    event_id: str
    topic: str
    key: str
    payload: object


@attrs.frozen
class Deliver(Call[None]):
    """To a consumer: events of one topic, in order. An answer means that they took effect.

    Delivery is at least once: the consumer recognises what it has seen before.
    """

    events: tuple[OutboxEvent, ...]


@attrs.frozen
class Nudge(Cast):
    """To the relay: there may be new events."""


@attrs.frozen
class GetBacklog(Call[int]):
    """To the relay: the number of events that are not delivered yet."""
