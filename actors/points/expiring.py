"""Whose points expire soon: asked by those who tell them in time."""

from datetime import datetime

import attrs

from runtime.message import Call
from runtime.storage import Database

MAX_EXPIRING = 500

SELECT_EXPIRING = (
    "SELECT customer_id, sum(remaining), min(expires_at) FROM points_lots"
    " WHERE merchant_id = $1 AND customer_id > $2 AND remaining > 0"
    " AND expires_at > $3 AND expires_at <= $4"
    " GROUP BY customer_id ORDER BY customer_id LIMIT $5"
)


@attrs.frozen
class ExpiringPoints:
    """`points` expire within the time that was asked about, the first of them at `first_at`."""

    customer_id: str
    points: int
    first_at: datetime


@attrs.frozen(kw_only=True)
class ListExpiring(Call[tuple[ExpiringPoints, ...]]):
    """To `QUERIES`: those whose points expire after `since` and until `until`, in the order of
    their ids, from behind `after`; fewer than `limit` (at most `MAX_EXPIRING`) at the end."""

    merchant_id: str
    since: datetime
    until: datetime
    after: str = ""
    limit: int = MAX_EXPIRING


async def list_expiring(database: Database, message: ListExpiring) -> tuple[ExpiringPoints, ...]:
    """Raises `StorageError`."""
    limit = max(1, min(message.limit, MAX_EXPIRING))
    values = (message.merchant_id, message.after, message.since, message.until, limit)
    rows = await database.fetch(SELECT_EXPIRING, *values)
    return tuple(ExpiringPoints(row[0], int(row[1]), _moment(row[2])) for row in rows)


def _moment(value: datetime | str) -> datetime:
    """SQLite forgets of what type a column is that was computed."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value
