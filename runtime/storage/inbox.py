"""The inbox table: which events a consumer has let take effect."""

from collections.abc import Iterable
from datetime import datetime

from runtime.storage.port import AcrossMerchants, Database, Statement, Write

INSERT_SEEN = Statement(
    "inbox.insert",
    "INSERT INTO inbox (merchant_id, consumer, event_id, recorded_at) VALUES ($1, $2, $3, $4)",
    85,
)

SELECT_SEEN = (
    "SELECT event_id FROM inbox WHERE merchant_id = $1 AND consumer = $2 AND event_id = $3"
)

PRUNE = AcrossMerchants(
    "DELETE FROM inbox WHERE (merchant_id, consumer, event_id) IN"
    " (SELECT i.merchant_id, i.consumer, i.event_id FROM inbox i WHERE i.recorded_at < $1"
    " AND NOT EXISTS (SELECT 1 FROM outbox o"
    " WHERE o.merchant_id = i.merchant_id AND o.event_id = i.event_id)"
    " AND NOT EXISTS (SELECT 1 FROM late_deliveries d"
    " WHERE d.merchant_id = i.merchant_id AND d.event_id = i.event_id)"
    " ORDER BY i.recorded_at LIMIT $2) RETURNING event_id"
)
"""Forget what was recorded before a time, up to a number of rows, but nothing of an event that
may still be delivered again."""


def inbox_write(*, merchant_id: str, consumer: str, event_id: str, recorded_at: datetime) -> Write:
    """Record an event as taken, in the entry of its effect.

    Breaks a constraint when the event was recorded before, and so undoes the effect's repetition.
    """
    return Write(INSERT_SEEN, (merchant_id, consumer, event_id, recorded_at))


async def find_seen(
    database: Database, merchant_id: str, consumer: str, event_ids: Iterable[str]
) -> frozenset[str]:
    """Those of the events that the consumer has recorded. Raises `StorageError`."""
    wanted = sorted(set(event_ids))
    if not wanted:
        return frozenset()
    queries = [(SELECT_SEEN, (merchant_id, consumer, event_id)) for event_id in wanted]
    results = await database.fetch_many(queries)
    return frozenset(row["event_id"] for rows in results for row in rows)
