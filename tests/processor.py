"""Processor time as it would be on a quiet machine, so that bounds hold beside others' work."""

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import attrs

REFERENCE_S = 1.65e-3
"""What `_reference` takes on a quiet machine of the kind the documented figures come from."""

SAMPLES = 3


@attrs.define
class Spent:
    """`s`: processor seconds of this process, divided by how slow the processor was meanwhile."""

    s: float = 0.0


@contextmanager
def measured() -> Iterator[Spent]:
    """What the block takes. Work that lasts for tens of milliseconds is measured best."""
    spent, before = Spent(), slowness()
    began = time.process_time()
    yield spent
    took = time.process_time() - began
    spent.s = took / ((before + slowness()) / 2)


async def each_s(work: Callable[[], Awaitable[object]], count: int) -> float:
    """What one of `count` times costs."""
    with measured() as spent:
        for _ in range(count):
            await work()
    return spent.s / count


def slowness() -> float:
    """How many times longer the interpreter takes now than on a quiet machine; at least 1."""
    return max(1.0, sorted(_reference() for _ in range(SAMPLES))[SAMPLES // 2] / REFERENCE_S)


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
