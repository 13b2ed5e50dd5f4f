"""What the relay does on the side: measures the outbox, and prunes the inbox."""

from datetime import timedelta

import structlog
import trio

from runtime.errors import ActorError
from runtime.outbox_store import OutboxStore
from runtime.storage import Database, StorageError
from runtime.storage.inbox import PRUNE
from runtime.system import ActorSystem
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.relay")

MEASURE_S = 5.0

INBOX_RETENTION = timedelta(days=7)
"""How long a consumer recognises an event whose row is gone from the outbox."""

PRUNE_S = 60.0
PRUNE_ROWS = 1_000
"""Inbox rows in one transaction."""

PRUNE_PAUSE_S = 0.2
"""Between two such transactions, so that others get at the store."""


async def measure_for_ever(system: ActorSystem, store: OutboxStore) -> None:
    """Keep the gauges up to date; while the store does not answer they stay as they were."""
    while True:
        try:
            await _measure(system, store)
        except (ActorError, StorageError) as error:
            log.debug("outbox_not_measured", error=str(error)[:500])
        await trio.sleep(MEASURE_S)


async def _measure(system: ActorSystem, store: OutboxStore) -> None:
    metrics = system.metrics.outbox
    metrics.backlog.set(await store.backlog())
    oldest = await store.oldest()
    age = system.clock.now() - oldest if oldest is not None else timedelta(0)
    metrics.lag.set(max(0.0, age.total_seconds()))


async def prune_for_ever(system: ActorSystem, database: Database) -> None:
    """Forget inbox rows past their retention, in small steps."""
    trouble = Trouble(log, "inbox_not_pruned", "inbox_pruned_again")
    while True:
        full = False
        try:
            full = await _prune(system, database) == PRUNE_ROWS
            trouble.ended()
        except StorageError as error:
            trouble.failed(error)
        await trio.sleep(PRUNE_PAUSE_S if full else PRUNE_S)


async def _prune(system: ActorSystem, database: Database) -> int:
    before = system.clock.now() - INBOX_RETENTION
    pruned = len(await database.execute(PRUNE, before, PRUNE_ROWS))
    system.metrics.outbox.inbox_pruned.inc(pruned)
    return pruned
