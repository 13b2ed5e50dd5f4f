"""Consuming an event once: its id is recorded in the transaction of its effect."""

from collections.abc import Iterable
from datetime import datetime

from runtime.journal import Append, Rejected
from runtime.outbox import OutboxEvent
from runtime.ref import ActorRef
from runtime.storage import Database, Write
from runtime.storage.inbox import find_seen, inbox_write


async def take_effect(
    journal: ActorRef,
    database: Database,
    consumer: str,
    event: OutboxEvent,
    effect: Iterable[Write],
    now: datetime,
) -> Rejected | None:
    """Write the effect of `event` and that `consumer` has seen it, in one entry; None when that
    is durable, also when it was before and nothing was written now.

    `Rejected`: the effect itself breaks a constraint. Only a rejection costs a query. Raises
    `ActorError` or `StorageError` as the journal does; when the outcome is unknown, the same
    event again is safe. Cancelled, it leaves the outcome unknown.
    """
    seen = inbox_write(
        merchant_id=event.merchant_id,
        consumer=consumer,
        event_id=event.event_id,
        recorded_at=now,
    )
    answer = await journal.ask(Append((seen, *effect)))
    if answer is None:
        return None
    known = await find_seen(database, event.merchant_id, consumer, (event.event_id,))
    return None if event.event_id in known else answer
