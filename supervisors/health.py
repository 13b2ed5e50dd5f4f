"""How the process is: looked at in the background, read by probes without waiting."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from enum import Enum
from typing import Final

import attrs
import structlog
import trio
from prometheus_client import CollectorRegistry, Gauge

from runtime import Actor, ActorError
from runtime.cache import CacheHandle
from runtime.cache.port import Presence
from runtime.journal import JOURNAL, Append
from runtime.pulse import Pulse
from runtime.registries import in_registry
from runtime.storage import DatabaseHandle, StorageError
from runtime.telemetry import PREFIX
from supervisors.conditions import CHECK_TIMEOUT_S, Condition, domain_conditions
from supervisors.shard_messages import GetConditions, conditions_name
from supervisors.switches import Switches

CHECK_EVERY_S: Final = 1.0
"""Between the end of a round of checks and the next one: probes cause none at all."""

FAILURES_MAX: Final = 2
"""So many rounds in a row have to find a required part down before the process is not ready:
an actor that crashed is back long before."""

REQUIRED_DOMAINS: Final = frozenset({"auth", "core", "points"})
"""Without these a process is no use. The loss of any other domain leaves the rest to be served."""

DATABASE_PART: Final = "database"
REDIS_PART: Final = "redis"

log = structlog.get_logger("loyalnest.health")


class Status(Enum):
    """The one word that anybody may know.

    UNREADY: a required part is down, or nothing is known yet. STOPPING and TAKEN_OVER are for
    good. STALLED: the loop stood still.
    """

    OK = "ok"
    DEGRADED = "degraded"
    UNREADY = "unready"
    STOPPING = "stopping"
    TAKEN_OVER = "taken over"
    STALLED = "stalled"


@attrs.define
class Part:
    """Something the process stands on, as it was last seen.

    `up` is None before the first look. `condition` is a word or two, `since` when it became
    that, `last_error` the kind of the last failure, never its text, which may hold secrets.
    `failures` are the rounds since it was seen up.
    """

    name: str
    required: bool
    up: bool | None = None
    condition: str = "unknown"
    since: datetime | None = None
    last_error: str | None = None
    failures: int = FAILURES_MAX

    def seen(self, up: bool, condition: str, error: str | None, now: datetime) -> None:
        if (up, condition) != (self.up, self.condition):
            self.up, self.condition, self.since = up, condition, now
        self.failures = 0 if up else self.failures + 1
        if error is not None:
            self.last_error = error

    @property
    def missing(self) -> bool:
        """Whether the process should not be asked for anything because of it: it has not been
        seen up, or not for some rounds."""
        return self.required and self.failures >= FAILURES_MAX


@attrs.define
class HealthBoard:
    """What is known, for whoever asks. Nothing here waits, and any thread may read `readiness`.

    `stopping` is set by whoever stops the process, before anything else is stopped.
    """

    pulse: Pulse = attrs.field(factory=Pulse)
    stopping: bool = False
    dependencies: dict[str, Part] = attrs.field(factory=dict)
    domains: dict[str, Part] = attrs.field(factory=dict)
    taken_over: Callable[[], bool] = attrs.field(default=lambda: False)
    switches: Switches = attrs.field(factory=Switches)

    @property
    def readiness(self) -> Status:
        """OK or DEGRADED when the process should be sent requests."""
        if self.stopping:
            return Status.STOPPING
        if self.taken_over():
            return Status.TAKEN_OVER
        parts = (*self.dependencies.values(), *self.domains.values())
        if not self.domains or any(part.missing for part in parts):
            return Status.UNREADY
        return Status.OK if all(part.up for part in parts) else Status.DEGRADED

    @property
    def ready(self) -> bool:
        return self.readiness in {Status.OK, Status.DEGRADED}

    @property
    def liveness(self) -> Status:
        """OK, or STALLED; to be asked inside the loop."""
        return Status.STALLED if self.pulse.stalled else Status.OK


@attrs.frozen
class OtherShard:
    """Another process of the plan, and the domains that it has."""

    name: str
    domains: tuple[str, ...]


class HealthMetrics:
    """What probes are told, for those who watch many processes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.ready = Gauge(
            "ready", "Whether the process wants requests", (), PREFIX, registry=registry
        )
        self.domain_up = Gauge(
            "domain_up", "Whether a domain serves", ("domain",), PREFIX, registry=registry
        )


class HealthChecker(Actor):
    """Keeps a board up to date. Each part is checked once a round, and all at the same time, so
    that one that hangs delays no other beyond `CHECK_TIMEOUT_S`."""

    def __init__(
        self,
        board: HealthBoard,
        database: DatabaseHandle,
        cache: CacheHandle,
        others: Sequence[OtherShard] = (),
    ) -> None:
        self._board = board
        self._database = database
        self._cache = cache
        self._others = others
        self._was_ready: bool | None = None
        board.taken_over = lambda: database.retired
        board.dependencies.setdefault(DATABASE_PART, Part(DATABASE_PART, required=True))

    async def started(self) -> None:
        self._metrics = in_registry(self.system.metrics.registry, HealthMetrics)
        await self._check()
        self.start_task(self._keep_checking)

    async def _keep_checking(self) -> None:
        while True:
            await trio.sleep(CHECK_EVERY_S)
            await self._check()

    async def _check(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._check_database)
            nursery.start_soon(self._check_domains)
        self._look_at_cache()
        self._tell()

    async def _check_database(self) -> None:
        error = await _failure_of(self._use_database)
        up = error is None
        self._seen(self._board.dependencies[DATABASE_PART], up, error)
        self.system.metrics.dependency_up(DATABASE_PART, up)

    async def _use_database(self) -> None:
        """It answers, and the journal may write to it."""
        await self._database.fetch_value("SELECT 1")
        await self.system.ref(JOURNAL).ask(Append(()))

    async def _check_domains(self) -> None:
        domains = self._board.domains
        found = await domain_conditions(self.system)
        required = REQUIRED_DOMAINS & found.keys()
        async with trio.open_nursery() as nursery:
            for other in self._others:
                nursery.start_soon(self._ask_other, other, found)
        for name, condition in found.items():
            domain = domains.setdefault(name, Part(name, name in required))
            up = condition is Condition.UP
            self._seen(domain, up, None if up else condition.value, condition.value)
        for name in domains.keys() - found.keys():
            self._seen(domains[name], False, "SupervisorDown", Condition.RESTARTING.value)

    async def _ask_other(self, other: OtherShard, found: dict[str, Condition]) -> None:
        """What another shard says of its domains. One that does not answer is being started again,
        and its domains are not required: what they do not need is served without them."""
        try:
            asked = self.system.ref(conditions_name(other.name))
            told = await asked.ask(GetConditions(), timeout_s=CHECK_TIMEOUT_S)
        except ActorError:
            told = {}
        for domain in other.domains:
            found[domain] = Condition(told.get(domain, Condition.RESTARTING.value))

    def _look_at_cache(self) -> None:
        """Never required: nothing fails without it. Whoever holds the connection knows."""
        presence = self._cache.presence
        if presence is Presence.IN_PROCESS:
            self._board.dependencies.pop(REDIS_PART, None)
            return
        part = self._board.dependencies.setdefault(REDIS_PART, Part(REDIS_PART, required=False))
        up = presence is Presence.UP
        self._seen(part, up, None if up else "Unreachable")

    def _seen(self, part: Part, up: bool, error: str | None, condition: str | None = None) -> None:
        word = condition or (Condition.UP if up else Condition.DOWN).value
        part.seen(up, word, error, self.system.clock.now())

    def _tell(self) -> None:
        ready = self._board.ready
        self._metrics.ready.set(ready)
        for domain in self._board.domains.values():
            self._metrics.domain_up.labels(domain.name).set(bool(domain.up))
        if ready is self._was_ready:
            return
        down = [
            part.name
            for part in (*self._board.dependencies.values(), *self._board.domains.values())
            if part.missing
        ]
        write = log.info if ready or self._was_ready is None else log.warning
        write("ready" if ready else "not_ready", down=down, status=self._board.readiness.value)
        self._was_ready = ready


async def _failure_of(check: Callable[[], Awaitable[None]]) -> str | None:
    """The kind of the failure of a check, None when it went well."""
    with trio.move_on_after(CHECK_TIMEOUT_S):
        try:
            await check()
        except (StorageError, ActorError) as error:
            return type(error).__name__
        return None
    return "Timeout"
