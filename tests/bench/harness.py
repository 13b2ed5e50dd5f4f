"""Measuring ratios: both sides in turns within one run, because machines are noisy."""

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from gc import get_threshold, set_threshold, unfreeze

import attrs
import structlog

from cli.running import collect_rarely

ROUNDS = 5


@attrs.frozen
class Figure:
    """One line of the result. `value` and `against` are in `unit`; `ratio` is the figure that
    `goal` speaks of where there is something to compare with. `met` is None without a goal."""

    name: str
    value: float
    unit: str
    against: float | None
    ratio: float | None
    goal: str
    met: bool | None


def compare(
    name: str,
    ours: Callable[[], float],
    theirs: Callable[[], float],
    *,
    unit: str,
    goal: float | None,
    rounds: int = ROUNDS,
) -> Figure:
    """Medians of both sides, and the median of the ratios of each round."""
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    ratio = statistics.median(own / other for own, other in pairs)
    return Figure(
        name,
        statistics.median(own for own, _ in pairs),
        unit,
        statistics.median(other for _, other in pairs),
        ratio,
        f"ratio at least {goal:g}" if goal is not None else "none",
        ratio >= goal if goal is not None else None,
    )


def at_most(name: str, value: float, unit: str, limit: float | None) -> Figure:
    """A figure that has nothing to compare with."""
    if limit is None:
        return Figure(name, value, unit, None, None, "none", None)
    return Figure(name, value, unit, None, None, f"at most {limit:g} {unit}", value <= limit)


def at_least(name: str, value: float, unit: str, goal: float) -> Figure:
    """A figure that has nothing to compare with, and is better the larger it is."""
    return Figure(name, value, unit, None, None, f"at least {goal:g} {unit}", value >= goal)


@contextmanager
def without_logs() -> Iterator[None]:
    """Nothing is logged meanwhile."""
    structlog.configure(processors=[_drop])
    try:
        yield
    finally:
        structlog.reset_defaults()


def _drop(*_: object) -> str:
    raise structlog.DropEvent


@contextmanager
def garbage_as_in_the_program() -> Iterator[None]:
    """Collected as seldom as `loyalnest serve` has it."""
    before = get_threshold()
    collect_rarely()
    try:
        yield
    finally:
        unfreeze()
        set_threshold(*before)
