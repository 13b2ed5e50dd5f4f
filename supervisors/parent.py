"""The tree of the parent: a supervised process for each shard of a plan."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final

import attrs
import structlog
import trio
from prometheus_client import CollectorRegistry, Gauge

from config.plans import Plan, RestartBounds
from runtime import (
    INFINITE,
    Actor,
    ActorError,
    ActorSystem,
    Backoff,
    ChildSpec,
    ChildState,
    Restart,
    Supervisor,
    WhichChildren,
)
from runtime.kept_process import (
    EndProcess,
    KeptProcess,
    ProcessSpec,
    ProcessState,
)
from runtime.ref import ask_all
from runtime.registries import in_registry
from runtime.telemetry import PREFIX
from supervisors.health import Status

log = structlog.get_logger("loyalnest.parent")

ROOT: Final = "parent"
SHARDS: Final = "parent.shards"

CHECK_EVERY_S: Final = 0.25
CHECK_TIMEOUT_S: Final = 1.0
STOP_MARGIN_S: Final = 2.0
"""Beyond a process's own time to stop, for the actor that waits for it."""

START_LIMIT_S: Final = 30.0
SHARDS_INTENSITY: Final = 200
"""As for domains: a shard that has given up stays down, and says nothing about the others."""

PARENT_INTENSITY: Final = 5
PARENT_PERIOD_S: Final = 30.0


class ShardCondition(Enum):
    """READY: it does its work. STARTING: it runs, and does not yet, or not just now. RESTARTING:
    no process is there. DOWN: it ended too often and is not started any more."""

    READY = "ready"
    STARTING = "starting"
    RESTARTING = "restarting"
    DOWN = "down"


@attrs.define
class ParentBoard:
    """What is known of the shards, for whoever asks. Nothing here waits.

    `stopping` is set by whoever stops the parent, before anything else is stopped.
    """

    plan: Plan
    states: Mapping[str, ProcessState]
    down: set[str] = attrs.field(factory=set)
    stopping: bool = False

    def condition(self, name: str) -> ShardCondition:
        state = self.states[name]
        if name in self.down:
            return ShardCondition.DOWN
        if state.ready:
            return ShardCondition.READY
        return ShardCondition.RESTARTING if state.pid is None else ShardCondition.STARTING

    @property
    def readiness(self) -> Status:
        """OK: every shard is ready. DEGRADED: requests can be sent, and some fail."""
        if self.stopping:
            return Status.STOPPING
        ready = {name for name in self.states if self.condition(name) is ShardCondition.READY}
        if len(ready) == len(self.states):
            return Status.OK
        served = any(shard.name in ready for shard in self.plan.edges)
        return Status.DEGRADED if served else Status.UNREADY

    def kill_all(self) -> None:
        """End all processes at once, from any thread."""
        for state in self.states.values():
            state.kill()


class ShardChecker(Actor):
    """Notes which shards were given up by their supervisor, and tells of it once."""

    def __init__(self, board: ParentBoard) -> None:
        self._board = board

    async def started(self) -> None:
        self._metrics = in_registry(self.system.metrics.registry, ShardsDown)
        self.start_task(self._keep_checking)

    async def _keep_checking(self) -> None:
        while True:
            await self._check()
            await trio.sleep(CHECK_EVERY_S)

    async def _check(self) -> None:
        try:
            found = await self.system.ref(SHARDS).ask(WhichChildren(), timeout_s=CHECK_TIMEOUT_S)
        except ActorError:
            return
        down = {child.id for child in found if child.state is ChildState.DOWN}
        for name in sorted(down - self._board.down):
            last = self._board.states[name].last_end
            log.error("shard_declared_down", shard=name, last_end=last)
        for name in sorted(self._board.down - down):
            log.info("shard_taken_up_again", shard=name)
        self._board.down = down
        for name in self._board.states:
            self._metrics.down.labels(name).set(name in down)


class ShardsDown:
    """Which shards were given up."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.down = Gauge(
            "shard_declared_down",
            "Whether a shard ended too often and is not started any more",
            ("shard",),
            PREFIX,
            registry=registry,
        )


def parent(
    board: ParentBoard, processes: Mapping[str, ProcessSpec], edge: Sequence[ChildSpec] = ()
) -> ChildSpec:
    """The root. Shards that serve the API start last and stop first; `edge` is beside them."""
    inner_first = [*board.plan.inner, *board.plan.edges]

    def shards() -> Supervisor:
        return Supervisor(
            [
                _shard(processes[shard.name], board.states[shard.name], board.plan.restarts)
                for shard in inner_first
            ],
            intensity=SHARDS_INTENSITY,
            period_s=board.plan.restarts.within_s,
            backoff=Backoff(),
        )

    def root() -> Supervisor:
        children = (
            ChildSpec("shards", shards, name=SHARDS, shutdown_s=INFINITE, start_timeout_s=INFINITE),
            ChildSpec("checker", lambda: ShardChecker(board)),
            *edge,
        )
        return Supervisor(
            children, intensity=PARENT_INTENSITY, period_s=PARENT_PERIOD_S, backoff=Backoff()
        )

    return ChildSpec(ROOT, root, name=ROOT, shutdown_s=INFINITE, start_timeout_s=INFINITE)


def _shard(spec: ProcessSpec, state: ProcessState, restarts: RestartBounds) -> ChildSpec:
    """Transient: a supervisor that gave up ended by shutdown, and is not tried for ever."""
    process = ChildSpec(
        "process",
        lambda: KeptProcess(spec, state),
        name=process_name(spec.name),
        shutdown_s=spec.stop_s + STOP_MARGIN_S,
        start_timeout_s=START_LIMIT_S,
    )

    def start() -> Supervisor:
        return Supervisor(
            (process,),
            intensity=restarts.most,
            period_s=restarts.within_s,
            backoff=Backoff(),
        )

    return ChildSpec(
        spec.name,
        start,
        Restart.TRANSIENT,
        name=f"shard.{spec.name}",
        shutdown_s=INFINITE,
        start_timeout_s=INFINITE,
    )


def process_name(shard: str) -> str:
    """Name of the actor that keeps a shard's process."""
    return f"shard.{shard}.process"


async def end_in_order(
    system: ActorSystem, board: ParentBoard, processes: Mapping[str, ProcessSpec]
) -> None:
    """End the shards that serve the API, all at the same time, and then the others likewise."""
    for group in (board.plan.edges, board.plan.inner):
        asks = [(system.ref(process_name(shard.name)), EndProcess()) for shard in group]
        limit_s = max((processes[shard.name].stop_s for shard in group), default=0.0)
        await ask_all(asks, timeout_s=limit_s + STOP_MARGIN_S)
