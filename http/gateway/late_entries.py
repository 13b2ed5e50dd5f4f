"""Audit entries of what was not kept from happening: they wait for the database."""

from collections import deque
from typing import Final

import attrs
import msgspec
import structlog
import trio

from actors.admin_core.recording import record
from runtime import ActorError, ActorSystem
from runtime.outbox import OutboxEvent
from runtime.storage import StorageError
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.switchboard")

RECORD_TIMEOUT_S: Final = 1.0
RECORD_AGAIN_S: Final = 1.0


@attrs.define(eq=False)
class LateEntries:
    """`waiting` has a bound, and outlives the actor whose task `keep_recording` is."""

    waiting: deque[OutboxEvent]
    _more: trio.Event = attrs.field(factory=trio.Event)

    def add(self, event: OutboxEvent) -> None:
        """Have it recorded as soon as that is possible. Beyond the bound the oldest is lost, and
        logged instead."""
        if len(self.waiting) == self.waiting.maxlen:
            log.error("audit_entry_lost", event=msgspec.to_builtins(self.waiting[0].payload))
        self.waiting.append(event)
        self._more.set()

    async def keep_recording(self, system: ActorSystem) -> None:
        """Until cancelled, which may record an entry a second time and loses none."""
        trouble = Trouble(log, "audit_entries_wait", "audit_entries_recorded")
        while True:
            self._more = trio.Event()
            while self.waiting:
                try:
                    await record(system, self.waiting[0], timeout_s=RECORD_TIMEOUT_S)
                except (StorageError, ActorError) as error:
                    trouble.failed(error, entries=len(self.waiting))
                    await trio.sleep(RECORD_AGAIN_S)
                else:
                    trouble.ended()
                    self.waiting.popleft()
            await self._more.wait()
