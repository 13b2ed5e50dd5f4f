"""The actor that writes the audit log."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

import msgspec
import structlog
import trio

from actors.admin_core.messages import AUDIT, AUDITED, PLATFORM, AuditRecord
from actors.admin_core.metrics import AuditMetrics
from actors.admin_core.model import Head, next_entry
from actors.admin_core.queries import OLDEST_UNDELIVERED, SELECT_HEAD
from actors.admin_core.records import entry_write
from runtime import Actor, ActorError
from runtime.coalescing import until_next
from runtime.journal import JOURNAL, Append, Rejected
from runtime.outbox import Deliver, OutboxEvent
from runtime.registries import in_registry
from runtime.storage import ConstraintViolation, Database, Entry, StorageError, Write
from runtime.storage.inbox import find_seen, inbox_write
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.audit")

MEASURE_S = 5.0

TRIES = 3
"""How often entries are chained anew, when others have lengthened a chain meanwhile."""

HEADS_MAX = 10_000


class AuditLog(Actor):
    """Turns events into entries, each chain in the order of its events, once each.

    It is the only one that writes entries. Another process that takes over writes them from then
    on; then the heads that are known here are wrong, which the table's key tells.
    """

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        self._database = database
        self._heads: dict[str, Head] = {}
        self._metrics: AuditMetrics

    async def started(self) -> None:
        self._metrics = in_registry(self.system.metrics.registry, AuditMetrics)
        self.start_task(self._keep_measuring)

    async def receive(self, message: Any) -> object:
        if not isinstance(message, Deliver):
            return await super().receive(message)
        await self._take(message.events)
        return None

    async def _take(self, events: Sequence[OutboxEvent]) -> None:
        for tries_left in reversed(range(TRIES)):
            fresh = await self._fresh(events)
            heads = await self._heads_of({event.merchant_id for event in fresh})
            writes = [write for event in fresh for write in self._writes(event, heads)]
            try:
                await self._append(tuple(writes))
            except ConstraintViolation:
                self._heads.clear()
                if not tries_left:
                    raise
            else:
                self._heads = self._heads | heads if len(self._heads) < HEADS_MAX else heads
                self._metrics.entries.inc(len(fresh))
                return

    async def _fresh(self, events: Sequence[OutboxEvent]) -> list[OutboxEvent]:
        """Those that are not in the log yet."""
        merchants = {event.merchant_id for event in events}
        seen: set[tuple[str, str]] = set()
        for merchant_id in merchants:
            ids = [event.event_id for event in events if event.merchant_id == merchant_id]
            found = await find_seen(self._database, merchant_id, AUDIT, ids)
            seen |= {(merchant_id, event_id) for event_id in found}
        return [event for event in events if (event.merchant_id, event.event_id) not in seen]

    async def _heads_of(self, merchants: set[str]) -> dict[str, Head]:
        heads = {}
        for merchant_id in merchants:
            known = self._heads.get(merchant_id)
            if known is None:
                row = await self._database.fetch_row(SELECT_HEAD, merchant_id)
                known = Head(row[0], row[1]) if row is not None else Head()
            heads[merchant_id] = known
        return heads

    def _writes(self, event: OutboxEvent, heads: dict[str, Head]) -> tuple[Write, Write]:
        """The entry of an event, and that it was taken; `heads` grow by it."""
        record = msgspec.convert(event.payload, AuditRecord)
        merchant_id = event.merchant_id if event.merchant_id != PLATFORM else None
        head = heads[event.merchant_id]
        entry = next_entry(head, merchant_id, event.event_id, event.created_at, record)
        heads[event.merchant_id] = Head(entry.sequence, entry.hash)
        taken = inbox_write(
            merchant_id=event.merchant_id,
            consumer=AUDIT,
            event_id=event.event_id,
            recorded_at=self.system.clock.now(),
        )
        return entry_write(entry), taken

    async def _append(self, entry: Entry) -> None:
        if not entry:
            return
        answer = await self.system.ref(JOURNAL).ask(Append(entry))
        if isinstance(answer, Rejected):
            raise answer.violation

    async def _keep_measuring(self) -> None:
        """How late the log is; while the database is away, as it was before."""
        trouble = Trouble(log, "audit_not_measured", "audit_measured_again")
        while True:
            try:
                self._metrics.lag.set(await self._lag_s())
                trouble.ended()
            except StorageError as error:
                trouble.failed(error)
            await trio.sleep(until_next(MEASURE_S))

    async def _lag_s(self) -> float:
        found = await self._database.fetch_row(OLDEST_UNDELIVERED, AUDITED, AUDIT)
        oldest: datetime | None = min(filter(None, found or ()), default=None)
        if oldest is None:
            return 0.0
        return max(0.0, (self.system.clock.now() - oldest).total_seconds())
