"""Entities: keyed actors, started by their first message and put to sleep when idle."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from itertools import islice
from typing import Annotated, Any, ClassVar

import attrs
import structlog
import trio
from msgspec import Meta

from runtime.actor import Actor
from runtime.cell import Cell
from runtime.describing import ITEMS_MAX
from runtime.exits import SHUTDOWN, ExitReason
from runtime.incarnation import Incarnation
from runtime.mailbox import MailboxSpec
from runtime.message import Cast
from runtime.system_messages import Stop

log = structlog.get_logger("loyalnest.entities")

DEFAULT_MAX_ACTIVE = 10_000
DEFAULT_IDLE_S = 60.0
EVICTION_LOOKS = 32
"""How many entities are looked at to find an idle one that can make room."""

SWEEP_CHUNK = 1_000


class Entity(Actor):
    """An actor with a key. At most one activation per key exists at any moment."""

    child_tasks: ClassVar[bool] = False
    key: Any

    @property
    def address(self) -> str:
        return self.ref.address


@attrs.define(eq=False)
class Activation:
    """`seen` is the number of messages handled when the sweep last came by."""

    incarnation: Incarnation
    seen: int = -1


@attrs.frozen
class Sweep(Cast):
    """To itself: put idle entities to sleep."""


@attrs.frozen
class EntityStatistics:
    active: int
    leaving: int
    activated: int
    passivated: int
    crashed: int


class Entities(Actor):
    """Runs the entities registered under `name`.

    `make(key)` makes a fresh entity. One that has been idle for `idle_s` to 2 `idle_s` is
    passivated; beyond `max_active`, one that is idle makes room at once, and if none is, senders
    get `MailboxFull`. An entity that crashes is gone; the next message activates it afresh.
    A message never meets two activations of a key: the next one starts when the last has ended.
    `max_active` and `idle_s` may be replaced while it runs.
    """

    keeps_task: ClassVar[bool] = True
    replaceable: ClassVar[frozenset[str]] = frozenset({"max_active", "idle_s"})

    _max_active: Annotated[int, Meta(ge=1, le=10_000_000)]
    _idle_s: Annotated[float, Meta(gt=0, le=86_400)]

    def __init__(
        self,
        name: str,
        make: Callable[[Any], Entity],
        *,
        max_active: int = DEFAULT_MAX_ACTIVE,
        idle_s: float = DEFAULT_IDLE_S,
        mailbox: MailboxSpec | None = None,
        shutdown_s: float = 5.0,
    ) -> None:
        self._name = name
        self._make = make
        self._max_active = max_active
        self._idle_s = idle_s
        self._mailbox = mailbox if mailbox is not None else MailboxSpec()
        self._shutdown_s = shutdown_s
        self.active: dict[Hashable, Cell] = {}
        self._activations: dict[Hashable, Activation] = {}
        self._leaving: dict[Hashable, Incarnation] = {}
        self._activated = self._passivated = self._crashed = 0

    async def started(self) -> None:
        self._gauge = self.system.metrics.entities_active.labels(self._name)
        self.system.entities(self._name).attach(self)
        self.timers.start("sweep", self._idle_s, Sweep(), periodic=True)

    def shown_state(self) -> object:
        return {
            "name": self._name,
            "max_active": self._max_active,
            "idle_s": self._idle_s,
            "statistics": self.statistics(),
            "first": list(islice(map(str, self.active), ITEMS_MAX)),
        }

    def replace_state(self, changes: Mapping[str, Any]) -> None:
        super().replace_state(changes)
        self.timers.start("sweep", self._idle_s, Sweep(), periodic=True)

    async def receive(self, message: Any) -> object:
        if not isinstance(message, Sweep):
            return await super().receive(message)
        await self._sweep()
        return None

    async def stopped(self, reason: ExitReason) -> None:
        """Stop all entities at the same time; kill those that take longer than `shutdown_s`."""
        self.system.entities(self._name).detach()
        for key in list(self._activations):
            if key in self._leaving:
                self._call_off(key)
            else:
                self._passivate(key)
        with trio.move_on_after(self._shutdown_s):
            await self._all_gone()
        for incarnation in self._leaving.values():
            incarnation.kill()
        await self._all_gone()

    async def _all_gone(self) -> None:
        while self._leaving:
            await next(iter(self._leaving.values())).exited.wait()

    def activate(self, key: Hashable) -> Cell | None:
        """See `RegionHost`. The cell takes messages at once, the entity starts behind them."""
        if len(self.active) >= self._max_active and not self._evict():
            return None
        entity = self._make(key)
        entity.key = key
        cell = self.system.make_cell(f"{self._name}/{key}", self._mailbox)
        incarnation = Incarnation(cell, entity, self.system, self._on_exit)
        predecessor = self._leaving.get(key)
        self.active[key] = cell
        self._activations[key] = Activation(incarnation)
        self._activated += 1
        self._measure()
        if predecessor is None:
            self._incarnation.launch(incarnation)
        else:
            cell.open()
            self.start_task(self._launch_after, predecessor, incarnation)
        return cell

    def depth(self) -> int:
        """See `RegionHost`."""
        return sum(len(cell.items) for cell in self.active.values())

    async def _launch_after(self, predecessor: Incarnation, incarnation: Incarnation) -> None:
        await predecessor.exited.wait()
        if incarnation.reason is None:
            self._incarnation.launch(incarnation)

    def _call_off(self, key: Hashable) -> None:
        """Never launch the activation that waits for its predecessor's end."""
        self._activations.pop(key).incarnation.reason = SHUTDOWN
        self.active.pop(key).close(SHUTDOWN, ())

    def _on_exit(self, incarnation: Incarnation, reason: ExitReason) -> None:
        key = incarnation.actor.key  # type: ignore[attr-defined]
        if self._leaving.get(key) is incarnation:
            del self._leaving[key]
        activation = self._activations.get(key)
        if activation is not None and activation.incarnation is incarnation:
            del self._activations[key], self.active[key]
        self._measure()
        if not reason.expected:
            self._crashed += 1
            log.error("entity_crashed", entity=self._name, reason=str(reason)[:500])

    def _evict(self) -> bool:
        """Make room by passivating an idle entity, those unused since the last sweep first."""
        fallback = None
        for key in list(islice(self._activations, EVICTION_LOOKS)):
            activation = self._activations.pop(key)
            self._activations[key] = activation
            if not activation.incarnation.cell.idle:
                continue
            if activation.seen == activation.incarnation.cell.handled:
                self._passivate(key)
                return True
            activation.seen = activation.incarnation.cell.handled
            fallback = key if fallback is None else fallback
        if fallback is not None:
            self._passivate(fallback)
        return fallback is not None

    def _passivate(self, key: Hashable) -> None:
        incarnation = self._activations.pop(key).incarnation
        cell = self.active.pop(key)
        self._leaving[key] = incarnation
        self._passivated += 1
        cell.signal(Stop(SHUTDOWN))
        cell.accepting = False
        cell.limit = 0

    async def _sweep(self) -> None:
        keys = list(self._activations)
        for start in range(0, len(keys), SWEEP_CHUNK):
            for key in keys[start : start + SWEEP_CHUNK]:
                self._look_at(key)
            await trio.lowlevel.checkpoint()

    def _look_at(self, key: Hashable) -> None:
        activation = self._activations.get(key)
        if activation is None:
            return
        cell = activation.incarnation.cell
        if activation.seen == cell.handled and cell.idle:
            self._passivate(key)
        activation.seen = cell.handled

    def _measure(self) -> None:
        self._gauge.set(len(self.active))

    def statistics(self) -> EntityStatistics:
        return EntityStatistics(
            len(self.active), len(self._leaving), self._activated, self._passivated, self._crashed
        )
