"""The queue of the gamification domain, and what is enqueued in it."""

from datetime import datetime, timedelta
from typing import Final

from actors.gamification.messages import Kind
from runtime.jobs import Delays, NewJob, QueuePolicy

QUEUE: Final = QueuePolicy(
    name="gamification",
    concurrency=4,
    attempts_max=8,
    attempt_timeout_s=120.0,
    delays=Delays(initial_s=30.0, max_s=3_600.0),
)

REEVALUATE, RECOMPUTE, BACKFILL = (
    "gamification.reevaluate",
    "gamification.recompute",
    "gamification.backfill",
)
CLOSE_CYCLES, SWEEP = "gamification.close_cycles", "gamification.sweep"

SETTLED_AFTER: Final = timedelta(seconds=10)
"""What is defined is known to everybody by then, so that a look at what was there before misses
nothing that comes after."""


def reevaluation(merchant_id: str, customer_id: str, achievement_id: str) -> NewJob:
    """Evaluate a rule again that was skipped. One at a time for each customer and achievement."""
    return NewJob(
        queue=QUEUE.name,
        name=REEVALUATE,
        merchant_id=merchant_id,
        payload={"customer_id": customer_id, "achievement_id": achievement_id},
        unique_key=f"{customer_id}/{achievement_id}",
    )


def recomputation(
    merchant_id: str, kind: Kind, definition_id: str, version: int, now: datetime
) -> NewJob:
    """Look at all players anew, because of a definition."""
    return NewJob(
        queue=QUEUE.name,
        name=RECOMPUTE,
        merchant_id=merchant_id,
        payload={"after": ""},
        key="all players",
        unique_key=f"{kind.value}/{definition_id}/{version}",
        run_at=now + SETTLED_AFTER,
    )


def backfill(merchant_id: str, now: datetime) -> NewJob:
    """Take in the orders from before the merchant's first definition."""
    return NewJob(
        queue=QUEUE.name,
        name=BACKFILL,
        merchant_id=merchant_id,
        payload={"cursor": None},
        key="all players",
        unique_key="backfill",
        run_at=now + SETTLED_AFTER,
    )
