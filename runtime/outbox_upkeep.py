"""What the relay does on the side: measures the outbox, prunes the inbox and the dead events."""

from collections.abc import Callable
from datetime import timedelta

import structlog
import trio

from runtime.coalescing import until_next
from runtime.errors import ActorError
from runtime.outbox_store import OutboxStore
from runtime.storage import Database, StorageError
from runtime.storage.inbox import PRUNE
from runtime.storage.late_deliveries import PRUNE_DEAD
from runtime.system import ActorSystem
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.relay")

MEASURE_S = 5.0

INBOX_RETENTION = timedelta(days=7)
"""How long a consumer recognises an event whose row is gone from the outbox."""

DEAD_RETENTION = timedelta(days=180)
"""How long a dead event may be put back. What nobody missed in half a year is given up, and
logged."""

PRUNE_S = 60.0
PRUNE_ROWS = 1_000
"""Rows in one transaction."""

PRUNE_PAUSE_S = 0.2
"""Between two such transactions, so that others get at the store."""


async def measure_for_ever(
    system: ActorSystem, store: OutboxStore, nudge: Callable[[], None]
) -> None:
    """Keep the gauges up to date; while the store does not answer they stay as they were. The relay
    is nudged where there are fresh events, in case nobody else did."""
    while True:
        try:
            if await _measure(system, store):
                nudge()
        except (ActorError, StorageError) as error:
            log.debug("outbox_not_measured", error=str(error)[:500])
        await trio.sleep(until_next(MEASURE_S))


async def _measure(system: ActorSystem, store: OutboxStore) -> bool:
    """Whether there are fresh events."""
    metrics = system.metrics.outbox
    backlog = await store.backlog()
    metrics.backlog.set(backlog.fresh + backlog.late)
    age = system.clock.now() - backlog.oldest if backlog.oldest is not None else timedelta(0)
    metrics.lag.set(max(0.0, age.total_seconds()))
    return backlog.fresh > 0


async def prune_for_ever(system: ActorSystem, database: Database) -> None:
    """Forget inbox rows and dead events past their retention, in small steps."""
    trouble = Trouble(log, "inbox_not_pruned", "inbox_pruned_again")
    while True:
        full = False
        try:
            inbox, dead = await _prune_inbox(system, database), await _prune_dead(system, database)
            full = PRUNE_ROWS in {inbox, dead}
            trouble.ended()
        except StorageError as error:
            trouble.failed(error)
        await trio.sleep(PRUNE_PAUSE_S if full else PRUNE_S)


async def _prune_inbox(system: ActorSystem, database: Database) -> int:
    before = system.clock.now() - INBOX_RETENTION
    pruned = len(await database.execute(PRUNE, before, PRUNE_ROWS))
    system.metrics.outbox.inbox_pruned.inc(pruned)
    return pruned


async def _prune_dead(system: ActorSystem, database: Database) -> int:
    before = system.clock.now() - DEAD_RETENTION
    given_up = len(await database.execute(PRUNE_DEAD, before, PRUNE_ROWS))
    if given_up:
        log.warning("dead_events_given_up", events=given_up)
    return given_up
