"""The table of late deliveries: events that one consumer did not take at once.

A *lane* is what must stay in order: the events of one merchant, consumer, topic and key. Of each
lane the first rows have `available_at`, when they may be tried; the others wait behind them
without one. `failures` counts what went wrong with the lane since it last got on, and grows its
waits; `attempts` counts what speaks against the event itself. A dead event is in no lane.
"""

from datetime import datetime, timedelta
from functools import cache
from typing import Any

from runtime.outbox import Lane, OutboxEvent
from runtime.storage.port import AcrossMerchants, Query, Statement, Write

WAIT_MAX = timedelta(minutes=1)
"""No lane is told to wait longer. A later time was written before the clock was set back."""

_OF_LANE = "merchant_id = $1 AND consumer = $2 AND topic = $3 AND key = $4"
_LIVING = f"SELECT event_id FROM late_deliveries WHERE {_OF_LANE} AND dead_at IS NULL"  # noqa: S608
_FIRST = f"{_LIVING} ORDER BY event_id LIMIT"

INSERT = Statement(
    "late_deliveries.insert",
    "INSERT INTO late_deliveries (merchant_id, consumer, event_id, topic, key, payload,"
    " created_at, attempts, history, trace_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    " ON CONFLICT DO NOTHING",
    90,
)

DELETE = Statement(
    "late_deliveries.delete",
    "DELETE FROM late_deliveries WHERE merchant_id = $1 AND consumer = $2 AND event_id = $3",
    92,
)

RECORD = Statement(
    "late_deliveries.record",
    "UPDATE late_deliveries SET attempts = $4, history = $5, dead_at = $6,"
    " available_at = NULL, failures = 0"
    " WHERE merchant_id = $1 AND consumer = $2 AND event_id = $3",
    93,
)

REVIVE = Statement(
    "late_deliveries.revive",
    "UPDATE late_deliveries SET attempts = 0, history = $4, dead_at = NULL"
    " WHERE merchant_id = $1 AND consumer = $2 AND event_id = $3 AND dead_at IS NOT NULL",
    93,
    exact=True,
)

HALT = Statement(
    "late_deliveries.halt",
    "UPDATE late_deliveries SET available_at = NULL, failures = 0"  # noqa: S608
    f" WHERE {_OF_LANE} AND dead_at IS NULL AND available_at IS NOT NULL",
    94,
)

START = Statement(
    "late_deliveries.start",
    "UPDATE late_deliveries SET available_at = $5, failures = $6"  # noqa: S608
    f" WHERE {_OF_LANE} AND event_id IN ({_FIRST} $7)",
    95,
)

ENSURE_STARTED = Statement(
    "late_deliveries.ensure_started",
    "UPDATE late_deliveries SET available_at = $5, failures = $6"  # noqa: S608
    f" WHERE {_OF_LANE} AND event_id IN ({_FIRST} 1) AND NOT EXISTS"
    f" (SELECT 1 FROM late_deliveries WHERE {_OF_LANE} AND dead_at IS NULL"
    " AND available_at IS NOT NULL)",
    96,
)

_COLUMNS = (
    "merchant_id, event_id, topic, key, payload, created_at, trace_id,"
    " consumer, failures, attempts, history"
)

_DUE = (
    f"SELECT * FROM (SELECT {_COLUMNS} FROM late_deliveries"  # noqa: S608
    " WHERE consumer = $1 AND available_at IS NOT NULL AND failures = 0 AND available_at {when}"
    " ORDER BY available_at, event_id LIMIT $3) AS {name}"
)

SELECT_DUE = AcrossMerchants(
    f"{_DUE.format(when='<= $2', name='due')} UNION ALL"
    f" {_DUE.format(when='> $4', name='misdated')} LIMIT $3"
)

SELECT_DUE_AGAIN = AcrossMerchants(SELECT_DUE.replace("failures = 0", "failures > 0"))

SELECT_NEXT = AcrossMerchants(
    "SELECT available_at FROM late_deliveries"
    " WHERE consumer = $1 AND available_at IS NOT NULL AND failures = 0"
    " ORDER BY available_at LIMIT 1"
)

SELECT_NEXT_AGAIN = AcrossMerchants(SELECT_NEXT.replace("failures = 0", "failures > 0"))


@cache
def any_late(consumers: int) -> AcrossMerchants:
    """Whether there are late deliveries, for so many consumers a column each."""
    there = "EXISTS (SELECT 1 FROM late_deliveries WHERE consumer = {name} AND {which})"
    started = "available_at IS NOT NULL AND failures"
    columns = (
        f"{there.format(name=f'${number}', which=f'{started} = 0')} OR"
        f" {there.format(name=f'${number}', which=f'{started} > 0')} AS late_{number}"
        for number in range(1, consumers + 1)
    )
    return AcrossMerchants(f"SELECT {', '.join(columns)}")


SELECT_BEHIND = AcrossMerchants(
    "SELECT o.merchant_id, o.topic, o.key FROM"
    " (SELECT merchant_id, topic, key, event_id FROM outbox ORDER BY event_id LIMIT $1) o"
    " WHERE EXISTS (SELECT 1 FROM late_deliveries d WHERE d.merchant_id = o.merchant_id"
    " AND d.consumer = $2 AND d.topic = o.topic AND d.key = o.key AND d.dead_at IS NULL)"
)
"""Of the oldest events of the outbox, those that have earlier ones of their lane in this table."""

_DEAD_COLUMNS = f"{_COLUMNS}, dead_at"

SELECT_DEAD = AcrossMerchants(
    f"SELECT {_DEAD_COLUMNS} FROM late_deliveries"  # noqa: S608
    " WHERE dead_at IS NOT NULL AND (event_id, consumer) > ($1, $2)"
    " ORDER BY event_id, consumer LIMIT $3"
)

SELECT_ONE_DEAD = (
    f"SELECT {_DEAD_COLUMNS} FROM late_deliveries"  # noqa: S608
    " WHERE merchant_id = $1 AND consumer = $2 AND event_id = $3 AND dead_at IS NOT NULL"
)

PRUNE_DEAD = AcrossMerchants(
    "DELETE FROM late_deliveries WHERE dead_at < $1 AND (merchant_id, consumer, event_id) IN"
    " (SELECT d.merchant_id, d.consumer, d.event_id FROM late_deliveries d WHERE d.dead_at < $1"
    " ORDER BY d.dead_at LIMIT $2) RETURNING event_id"
)
"""Give up what has been dead since before a time, the longest dead first. What is put back
meanwhile stays."""

History = list[dict[str, Any]]
"""What happened to a delivery, oldest first, as JSON."""


def late_write(event: OutboxEvent, consumer: str, attempts: int, history: History) -> Write:
    """A delivery that is late from now on. Its lane must be started as well."""
    row = (event.merchant_id, consumer, event.event_id, event.topic, event.key, event.payload)
    return Write(INSERT, (*row, event.created_at, attempts, history, event.trace_id))


def taken_write(event: OutboxEvent, consumer: str) -> Write:
    return Write(DELETE, (event.merchant_id, consumer, event.event_id))


def record_write(
    event: OutboxEvent, consumer: str, attempts: int, history: History, dead_at: datetime | None
) -> Write:
    """What an attempt came to. Its lane must be restarted as well."""
    key = (event.merchant_id, consumer, event.event_id)
    return Write(RECORD, (*key, attempts, history, dead_at))


def restart_writes(
    lane: Lane, consumer: str, at: datetime, *, failures: int = 0, rows: int = 1
) -> tuple[Write, Write]:
    """From `at` on, the first `rows` living events of the lane may be tried, no others."""
    key = (lane.merchant_id, consumer, lane.topic, lane.key)
    return Write(HALT, key), Write(START, (*key, at, failures, rows))


def ensure_started_write(lane: Lane, consumer: str, at: datetime, failures: int) -> Write:
    """The first event of the lane may be tried from `at` on, where none had a time yet."""
    key = (lane.merchant_id, consumer, lane.topic, lane.key)
    return Write(ENSURE_STARTED, (*key, at, failures))


def revive_writes(
    lane: Lane, consumer: str, event_id: str, history: History, now: datetime
) -> tuple[Write, ...]:
    """A dead event lives again, with attempts to spend; in front of what waits in its lane.

    Rejected when it is not dead.
    """
    revived = Write(REVIVE, (lane.merchant_id, consumer, event_id, history))
    return (revived, *restart_writes(lane, consumer, now))


def due_query(consumer: str, now: datetime, limit: int, *, again: bool) -> Query:
    """What may be tried by now: lanes without failures, or those that failed before."""
    return SELECT_DUE_AGAIN if again else SELECT_DUE, (consumer, now, limit, now + WAIT_MAX)
