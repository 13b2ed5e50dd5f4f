"""The relay: delivers what the outbox holds to the domains that subscribed to it."""

from collections.abc import Mapping, Sequence
from itertools import chain
from math import inf
from typing import Any, ClassVar

import attrs
import structlog
import trio

from runtime.actor import Actor
from runtime.child import Backoff
from runtime.dispatcher import Dispatcher
from runtime.errors import ActorError
from runtime.lateness import appended, put_back_record
from runtime.outbox import (
    DeadEvent,
    GetBacklog,
    GetDeadEvent,
    ListDeadEvents,
    Nudge,
    PutBackEvent,
)
from runtime.outbox_lookout import look_for_ever
from runtime.outbox_store import OutboxStore
from runtime.outbox_upkeep import measure_for_ever, prune_for_ever
from runtime.outlet import Outlet
from runtime.ownership import Ownership
from runtime.storage import Database, StorageError
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.relay")

POLL_S = 1.8
"""How often the relay looks by itself where others write, whose nudges may be lost. Often enough
that the journal need not look as well whether the store is still its own. Where nobody else writes
it is nudged for every commit of events but one that the journal crashed in, which is measured."""


class OutboxRelay(Actor):
    """Takes the oldest events, offers them to all consumers at the same time, and empties the
    outbox of them: what a consumer does not take becomes a late delivery, which its outlet
    brings to an end. No consumer and no event holds up others; a lane stays in order.
    """

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(
        self,
        database: Database,
        subscriptions: Mapping[str, Sequence[str]],
        ownership: Ownership | None = None,
    ) -> None:
        self._database = database
        self._ownership = ownership
        self._subscriptions = subscriptions
        self._backoff = Backoff()
        self._nudged = trio.Event()
        self._outlets: dict[str, Outlet] = {}

    async def started(self) -> None:
        self._store = OutboxStore(self.system, self._database, self._ownership)
        for consumer in dict.fromkeys(chain.from_iterable(self._subscriptions.values())):
            self._outlets[consumer] = Outlet(consumer, self.system, self._store)
        self._dispatcher = Dispatcher(
            self._store,
            self._subscriptions,
            self._outlets,
            self.system.metrics.outbox,
            self.start_task,
        )
        for outlet in self._outlets.values():
            for task in outlet.tasks():
                self.start_task(task)
        self.start_task(look_for_ever, self.system, self._store, tuple(self._outlets.values()))
        self.start_task(self._run)
        self.start_task(measure_for_ever, self.system, self._store, self._nudge)
        self.start_task(prune_for_ever, self.system, self._database)

    async def receive(self, message: Any) -> object:
        match message:
            case Nudge():
                self._nudge()
                return None
            case GetBacklog():
                backlog = await self._store.backlog()
                return backlog.fresh + backlog.late
            case ListDeadEvents():
                return await self._store.dead(message.after, message.limit)
            case GetDeadEvent():
                return await self._store.one_dead(
                    message.merchant_id, message.consumer, message.event_id
                )
            case PutBackEvent():
                return await self._put_back(message)
        return await super().receive(message)

    def _nudge(self) -> None:
        self._nudged.set()

    async def _put_back(self, request: PutBackEvent) -> DeadEvent | None:
        dead = await self._store.one_dead(request.merchant_id, request.consumer, request.event_id)
        if dead is None:
            return None
        now = self.system.clock.now()
        history = appended(dead.history, put_back_record(now, request.who, request.why))
        try:
            done = await self._store.revive(dead, history, now, request.publishes)
        finally:
            outlet = self._outlets.get(request.consumer)
            if outlet is not None:
                outlet.moved()
            self._nudge()
        if not done:
            return None
        self.system.metrics.outbox.count("put back", (dead.event,))
        log.info(
            "event_put_back",
            consumer=request.consumer,
            event_id=request.event_id,
            who=request.who,
        )
        return attrs.evolve(dead, attempts=0, history=tuple(history))

    async def _run(self) -> None:
        failures, trouble = 0, Trouble(log, "relay_waits", "relay_goes_on")
        while True:
            self._nudged = trio.Event()
            alone = self._ownership is not None and self._ownership.alone
            try:
                while await self._dispatcher.empty_one_page():
                    failures = 0
                trouble.ended()
            except (ActorError, StorageError) as error:
                failures += 1
                trouble.failed(error)
                await trio.sleep(self._backoff.delay_s(failures + 1, self.system.random))
                continue
            with trio.move_on_after(inf if alone else POLL_S):
                await self._nudged.wait()
