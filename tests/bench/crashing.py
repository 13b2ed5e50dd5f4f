"""How long an actor that crashes is away."""

import logging
import time

import attrs
import structlog
import trio

from runtime import Actor, ActorDown, ActorSystem, Call, Cast, ChildSpec, Supervisor
from tests.bench.harness import Figure

CRASHES = 1_000
GOAL_MS = 10.0


@attrs.frozen
class Crash(Cast):
    pass


@attrs.frozen
class Ping(Call[bool]):
    pass


class CrashedAsTold(Exception):
    """What it crashes with."""


class Fragile(Actor):
    """Crashes when told to."""

    async def receive(self, message: Crash | Ping) -> object:
        if isinstance(message, Crash):
            raise CrashedAsTold
        return True


def crashing() -> list[Figure]:
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)
    times_ms = sorted(trio.run(_measure))
    structlog.reset_defaults()
    p99 = times_ms[int(len(times_ms) * 0.99)]
    return [
        Figure(
            f"a crashed actor serves again, p99 of {CRASHES}",
            p99,
            "ms",
            None,
            None,
            f"at most {GOAL_MS:g} ms",
            p99 <= GOAL_MS,
        )
    ]


async def _measure() -> list[float]:
    child = ChildSpec("fragile", Fragile, name="fragile")
    root = ChildSpec("root", lambda: Supervisor([child], intensity=CRASHES + 1, period_s=60))
    async with ActorSystem().run(root) as system:
        ref = system.ref("fragile")
        times = []
        for _ in range(CRASHES):
            start = time.perf_counter()
            ref.tell(Crash())
            while not await _answers(ref.ask(Ping())):
                await trio.lowlevel.checkpoint()
            times.append((time.perf_counter() - start) * 1000)
    return times


async def _answers(ask: object) -> bool:
    try:
        return bool(await ask)  # type: ignore[misc]
    except ActorDown:
        return False
