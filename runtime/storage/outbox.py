"""The outbox table: events that are written with the state they tell of."""

from datetime import datetime

from runtime.context import current_trace_id
from runtime.outbox import RELAY, OutboxEvent
from runtime.storage.port import AcrossMerchants, Statement, Write

INSERT_EVENT = Statement(
    "outbox.insert",
    "INSERT INTO outbox (merchant_id, event_id, topic, key, payload, created_at, trace_id)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7)",
    90,
    concerns=RELAY,
)

DELETE_EVENT = Statement(
    "outbox.delete", "DELETE FROM outbox WHERE merchant_id = $1 AND event_id = $2", 91
)

FETCH_EVENTS = AcrossMerchants(
    "SELECT merchant_id, event_id, topic, key, payload, created_at, trace_id FROM outbox"
    " ORDER BY event_id LIMIT $1"
)
"""The oldest events nobody was asked to take yet."""

_LIVING = "FROM late_deliveries WHERE dead_at IS NULL"

SELECT_BACKLOG = AcrossMerchants(
    "SELECT (SELECT count(*) FROM outbox) AS fresh,"  # noqa: S608
    f" (SELECT count(*) {_LIVING}) AS late,"
    " (SELECT created_at FROM outbox ORDER BY event_id LIMIT 1) AS oldest_fresh,"
    f" (SELECT created_at {_LIVING} ORDER BY created_at LIMIT 1) AS oldest_late"
)
"""How many events are fresh and how many deliveries are late, and when the oldest of each was
published."""


def outbox_write(
    *,
    merchant_id: str,
    event_id: str,
    topic: str,
    key: str,
    payload: object,
    created_at: datetime,
) -> Write:
    """An event for the domains that subscribed to `topic`. `payload` is a JSON value; events
    with the same `key` are delivered in the order of their ids. The trace in force goes along."""
    row = (merchant_id, event_id, topic, key, payload, created_at, current_trace_id())
    return Write(INSERT_EVENT, row)


def event_write(event: OutboxEvent) -> Write:
    """As `outbox_write`, for an event that was made elsewhere, and perhaps has a trace."""
    key = (event.merchant_id, event.event_id, event.topic, event.key)
    trace_id = event.trace_id or current_trace_id()
    return Write(INSERT_EVENT, (*key, event.payload, event.created_at, trace_id))


def outbox_delete(merchant_id: str, event_id: str) -> Write:
    """The event was delivered."""
    return Write(DELETE_EVENT, (merchant_id, event_id))
