"""The gateway under overload: its shedder, what it is told of the loop, and what it tells."""

from collections.abc import Iterable
from typing import Final

import structlog
import trio
from prometheus_client import CollectorRegistry, Gauge

from gateway.messages import SwitchShedding
from gateway.priorities import Priorities
from gateway.routes import Route
from runtime import ActorSystem
from runtime.parking import monotonic
from runtime.policies import LoadShedder, Priority, SheddingMode, SheddingSpec, SheddingStatistics
from runtime.registries import in_registry
from runtime.tallies import Counter
from runtime.telemetry import PREFIX

log = structlog.get_logger("loyalnest.gateway")

NAME: Final = "gateway"

LOOK_EVERY_S: Final = 0.1
"""How often the lag of the event loop is measured."""

OVER_AFTER_S: Final = 5.0
"""Overload is over when nothing was shed for so long."""


class SheddingMetrics:
    """What was shed, and how much may run at once."""

    def __init__(self, registry: CollectorRegistry) -> None:
        shed = Counter(
            "requests_shed",
            "Requests refused because of overload, or by an operator",
            ("priority",),
            PREFIX,
            registry=registry,
        )
        self.shed = {priority: shed.labels(priority.value) for priority in Priority}
        self.limit = Gauge(
            "requests_concurrency_limit",
            "Requests that may be worked on at the same time",
            (),
            PREFIX,
            registry=registry,
        )


class Overload:
    """Protects one application. It outlives the restarts of its listener, and so does what an
    operator has switched."""

    def __init__(self, spec: SheddingSpec, mode: SheddingMode = SheddingMode.AUTOMATIC) -> None:
        self._spec = spec
        self._mode = mode
        self._shedder: LoadShedder | None = None
        self.priorities = Priorities(())

    def declare(self, routes: Iterable[Route]) -> None:
        """From now on requests have the priorities of these routes."""
        self.priorities = Priorities(routes)

    def shedder(self, system: ActorSystem) -> LoadShedder:
        """The one shedder, made when it is asked for first."""
        if self._shedder is None:
            counters = in_registry(system.metrics.registry, SheddingMetrics).shed
            self._shedder = LoadShedder(
                NAME, self._spec, system.random, lambda priority: counters[priority].inc()
            )
            self._shedder.switch(self._mode)
        return self._shedder

    def switch(self, system: ActorSystem, order: SwitchShedding) -> SheddingStatistics:
        """Follow an operator."""
        shedder = self.shedder(system)
        shedder.switch(order.mode, order.shed_by_hand)
        by_hand = sorted(priority.value for priority in order.shed_by_hand)
        log.warning("shedding_switched", mode=order.mode.value, shed_by_hand=by_hand)
        return shedder.statistics()

    async def watch(self, system: ActorSystem) -> None:
        """Tell the shedder of the loop's lag, and people of overload. Until cancelled."""
        shedder = self.shedder(system)
        limit = in_registry(system.metrics.registry, SheddingMetrics).limit
        diary = Diary()
        while True:
            due = monotonic() + LOOK_EVERY_S
            await trio.sleep_until(due)
            shedder.lagged(monotonic() - due)
            found = shedder.statistics()
            limit.set(found.limit)
            diary.write(found)


class Diary:
    """Two lines in the log for an overload: when it begins and when it is over."""

    def __init__(self) -> None:
        self._shed = 0
        self._shed_before = 0
        self._began_at: float | None = None
        self._last_at = 0.0

    def write(self, found: SheddingStatistics) -> None:
        """Note what has happened since the last time."""
        shed, now = sum(found.shed.values()), monotonic()
        if shed > self._shed:
            self._last_at = now
            if self._began_at is None:
                self._began_at, self._shed_before = now, self._shed
                log.warning("shedding_load", limit=found.limit, in_flight=found.in_flight)
        elif self._began_at is not None and now >= self._last_at + OVER_AFTER_S:
            lasted_s = round(self._last_at - self._began_at, 1)
            log.info("shedding_over", requests=shed - self._shed_before, lasted_s=lasted_s)
            self._began_at = None
        self._shed = shed
