"""The relay: delivers what the outbox holds to the domains that subscribed to it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain, groupby
from typing import Any, ClassVar

import structlog
import trio

from runtime.actor import Actor
from runtime.child import Backoff
from runtime.errors import ActorError
from runtime.journal import JOURNAL, Append
from runtime.outbox import Deliver, GetBacklog, Nudge, OutboxEvent
from runtime.ref import ask_all
from runtime.storage import Database, StorageError
from runtime.storage.outbox import COUNT_EVENTS, FETCH_EVENTS, outbox_delete

log = structlog.get_logger("loyalnest.relay")

BATCH = 500
"""Events delivered at once."""

POLL_S = 1.0
"""How often the relay looks by itself, should a nudge have been lost."""

DELIVERY_TIMEOUT_S = 30.0

Part = tuple[OutboxEvent, ...]
"""Events of one topic that are delivered together, in order."""


class OutboxRelay(Actor):
    """Delivers events in the order of their ids, and deletes them when all consumers answered.

    What a consumer fails on it gets again key by key, and what still fails again after a backoff:
    one bad event holds up its own key and the topics behind, not its neighbours. Events nobody
    subscribed to are deleted.
    """

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError,)

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
            part = tuple(group)
            error = await self._deliver(topic, [part])
            if error is not None:
                error = await self._deliver(topic, _by_key(part))
            if error is not None:
                raise error
        return bool(events)

    async def _deliver(self, topic: str, parts: Sequence[Part]) -> Exception | None:
        """Deliver the parts at the same time, and delete those that all consumers took.

        The first error, if there was one.
        """
        error = None
        for name in self._subscriptions.get(topic, ()):
            consumer = self.system.ref(name)
            asks = [(consumer, Deliver(part)) for part in parts]
            answers = await ask_all(asks, timeout_s=DELIVERY_TIMEOUT_S)
            error = next((a for a in answers if isinstance(a, Exception)), error)
            parts = [
                part
                for part, answer in zip(parts, answers, strict=True)
                if not isinstance(answer, Exception)
            ]
        if parts:
            await self._delete(tuple(chain.from_iterable(parts)))
        return error

    async def _delete(self, events: Sequence[OutboxEvent]) -> None:
        entry = tuple(outbox_delete(event.merchant_id, event.event_id) for event in events)
        await self.system.ref(JOURNAL).ask(Append(entry), timeout_s=DELIVERY_TIMEOUT_S)


def _by_key(part: Part) -> list[Part]:
    parts: dict[tuple[str, str], list[OutboxEvent]] = defaultdict(list)
    for event in part:
        parts[event.merchant_id, event.key].append(event)
    return list(map(tuple, parts.values()))
