"""How long an actor that crashes is away."""

import time

import attrs
import trio

from runtime import Actor, ActorDown, ActorSystem, Call, Cast, ChildSpec, Supervisor
from tests.bench.harness import Figure, at_most, without_logs

CRASHES = 1_000
P99_MAX_MS = 10.0
MEDIAN_MAX_MS = 1.0


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
    with without_logs():
        times_ms = sorted(trio.run(_measure))
    name = f"a crashed actor serves again, {{}} of {CRASHES}"
    return [
        at_most(name.format("median"), times_ms[CRASHES // 2], "ms", MEDIAN_MAX_MS),
        at_most(name.format("p99"), times_ms[int(CRASHES * 0.99)], "ms", P99_MAX_MS),
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
