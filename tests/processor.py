"""Processor time as it would be on a quiet machine, so that bounds hold beside others' work."""

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

REFERENCE_S = 1.65e-3
"""What `_reference` takes on a quiet machine of the kind the documented figures come from."""

SAMPLES = 3


STAT = Path("/proc/stat")
"""See proc(5)."""


@attrs.define
class Others:
    """`slowness` is as of the function, `taken` the share of the machine's processors that its host
    gave to others, which is 0 where nobody counts that."""

    slowness: float = 1.0
    taken: float = 0.0


@attrs.define
class Spent:
    """`s`: processor seconds of this process, divided by how slow the processor was meanwhile."""

    s: float = 0.0


@contextmanager
def measured() -> Iterator[Spent]:
    """What the block takes. Work that lasts for tens of milliseconds is measured best."""
    spent = Spent()
    with noticed() as others:
        began = time.process_time()
        yield spent
        took = time.process_time() - began
    spent.s = took / others.slowness


async def each_s(work: Callable[[], Awaitable[object]], count: int) -> float:
    """What one of `count` times costs."""
    with measured() as spent:
        for _ in range(count):
            await work()
    return spent.s / count


def slowness() -> float:
    """How many times longer the interpreter takes now than on a quiet machine; at least 1."""
    return max(1.0, sorted(_reference() for _ in range(SAMPLES))[SAMPLES // 2] / REFERENCE_S)


@contextmanager
def noticed() -> Iterator[Others]:
    """How much others had of the processors while the block ran; known when it has ended."""
    others, before, (taken, ticks) = Others(), slowness(), _ticks()
    yield others
    taken_now, ticks_now = _ticks()
    others.slowness = (before + slowness()) / 2
    others.taken = (taken_now - taken) / max(1, ticks_now - ticks)


def _ticks() -> tuple[int, int]:
    """What the host gave to others since the start of the machine, and all there was."""
    if not STAT.exists():
        return 0, 0
    counted = STAT.read_text().partition("\n")[0].split()[1:9]
    user, nice, system, idle, waiting, irq, softirq, steal = map(int, counted)
    return steal, user + nice + system + idle + waiting + irq + softirq + steal


class _Point:
    __slots__ = ("name", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = str(number)


def _reference() -> float:
    """Seconds for a piece of work of objects, calls, dictionaries and texts."""
    began = time.process_time()
    points: dict[str, _Point] = {}
    for number in range(4_000):
        point = _Point(number)
        points[point.name] = point
        if point.number & 1:
            points.pop(point.name)
    sorted(points)
    return time.process_time() - began
