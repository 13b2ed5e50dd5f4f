"""A process of its own with many idle actors: what they take, and how long they start and stop.

`python -m tests.bench.idle_process KIND COUNT TASKS_MAX` prints a line of JSON.
"""

import gc
import subprocess
import sys
import time
from pathlib import Path
from resource import getpagesize

import attrs
import msgspec
import trio

from runtime import (
    Actor,
    ActorSystem,
    Call,
    ChildSpec,
    Entities,
    Entity,
    StartChild,
    Started,
    Strategy,
    Supervisor,
)
from runtime.resting import HELD_MAX

ASKED = 1_000
"""Of the actors so many are asked afterwards, to see that they are there."""


@attrs.frozen
class Idling:
    """What was measured. `resident_mb` is of the whole process, `baseline_mb` without actors;
    the peak includes the end. The time is the processor's."""

    count: int
    baseline_mb: float
    resident_mb: float
    peak_mb: float
    starting_s: float
    stopping_s: float

    @property
    def per_actor_bytes(self) -> float:
        return (self.resident_mb - self.baseline_mb) * 1e6 / self.count


def measure(kind: str, count: int, tasks_max: int = HELD_MAX, *, timeout_s: float) -> Idling:
    """In a fresh process, `children` of a pool or `entities` that were asked once."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.idle_process", kind, str(count), str(tasks_max)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        timeout=timeout_s,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=Idling)


@attrs.frozen
class Add(Call[int]):
    amount: int


class Counter(Actor):
    def __init__(self) -> None:
        self.total = 0

    async def receive(self, message: Add) -> int:
        self.total += message.amount
        return self.total


class Tally(Counter, Entity):
    """The same, with a key."""


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * getpagesize() / 1e6


def peak_mb() -> float:
    """Of this program; what `getrusage` says is also that of whoever forked it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


async def _children(system: ActorSystem, count: int) -> None:
    refs = []
    for _ in range(count):
        started = await system.ref("host").ask(StartChild())
        assert isinstance(started, Started)
        refs.append(started.ref)
    for ref in refs[:: max(1, count // ASKED)]:
        assert ref is not None
        assert await ref.ask(Add(1)) == 1


async def _entities(system: ActorSystem, count: int) -> None:
    region = system.entities("tally")
    for key in range(count):
        assert await region.ref(key).ask(Add(1)) == 1
    for key in range(0, count, max(1, count // ASKED)):
        assert await region.ref(key).ask(Add(1)) == 2


def _host(kind: str, count: int) -> Actor:
    if kind == "children":
        template = ChildSpec("counter", Counter)
        return Supervisor(strategy=Strategy.SIMPLE_ONE_FOR_ONE, template=template)
    return Entities("tally", lambda _key: Tally(), max_active=count)


FILLING = {"children": _children, "entities": _entities}


async def main(kind: str, count: int, tasks_max: int) -> Idling:
    host = ChildSpec("host", lambda: _host(kind, count), name="host", shutdown_s=60.0)
    async with ActorSystem(tasks_max=tasks_max).run(host) as system:
        gc.collect()
        baseline, begun_at = resident_mb(), time.process_time()
        await FILLING[kind](system, count)
        starting_s = time.process_time() - begun_at
        resident, stopping_at = resident_mb(), time.process_time()
    stopping_s = time.process_time() - stopping_at
    return Idling(count, baseline, resident, peak_mb(), starting_s, stopping_s)


if __name__ == "__main__":
    result = trio.run(main, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    print(msgspec.json.encode(result).decode())
