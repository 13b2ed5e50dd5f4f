"""The relay: delivers what the outbox holds to the domains that subscribed to it."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import structlog
import trio

from runtime.actor import Actor
from runtime.child import Backoff
from runtime.errors import ActorError
from runtime.journal import JOURNAL, Append
from runtime.outbox import Deliver, GetBacklog, Nudge, OutboxEvent
from runtime.storage import Database, StorageError
from runtime.storage.outbox import COUNT_EVENTS, FETCH_EVENTS, outbox_delete

log = structlog.get_logger("loyalnest.relay")

BATCH = 500
"""Events delivered at once."""

POLL_S = 1.0
"""How often the relay looks by itself, should a nudge have been lost."""

DELIVERY_TIMEOUT_S = 30.0


class OutboxRelay(Actor):
    """Delivers events in the order of their ids, and deletes them when all consumers answered.

    A consumer that fails gets the same events again after a backoff; until then the topics
    behind it wait as well, which keeps the order. Events nobody subscribed to are deleted.
    """

    def __init__(self, database: Database, subscriptions: Mapping[str, Sequence[str]]) -> None:
        self._database = database
        self._subscriptions = subscriptions
        self._backoff = Backoff()
        self._nudged = trio.Event()

    async def started(self) -> None:
        self.start_task(self._run)

    async def receive(self, message: Any) -> object:
        match message:
            case Nudge():
                self._nudged.set()
                return None
            case GetBacklog():
                return await self._database.fetch_value(COUNT_EVENTS)
        return await super().receive(message)

    async def _run(self) -> None:
        failures = 0
        while True:
            self._nudged = trio.Event()
            try:
                while await self._deliver_batch():
                    failures = 0
            except (ActorError, StorageError) as error:
                failures += 1
                log.warning("delivery_failed", error=str(error)[:500], failures=failures)
                await trio.sleep(self._backoff.delay_s(failures + 1, self.system.random))
                continue
            with trio.move_on_after(POLL_S):
                await self._nudged.wait()

    async def _deliver_batch(self) -> bool:
        """Deliver one batch; false when there was none."""
        rows = await self._database.fetch(FETCH_EVENTS, BATCH)
        events = [OutboxEvent(*row) for row in rows]
        for topic, group in groupby(events, key=lambda event: event.topic):
            delivery = Deliver(tuple(group))
            for consumer in self._subscriptions.get(topic, ()):
                await self.system.ref(consumer).ask(delivery, timeout_s=DELIVERY_TIMEOUT_S)
            await self._delete(delivery.events)
        return bool(events)

    async def _delete(self, events: Sequence[OutboxEvent]) -> None:
        entry = tuple(outbox_delete(event.merchant_id, event.event_id) for event in events)
        await self.system.ref(JOURNAL).ask(Append(entry), timeout_s=DELIVERY_TIMEOUT_S)
