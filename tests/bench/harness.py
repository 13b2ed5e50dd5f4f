"""Measuring ratios: both sides in turns within one run, because machines are noisy."""

import statistics
from collections.abc import Callable

import attrs

ROUNDS = 5


@attrs.frozen
class Figure:
    """One line of the result. `value` and `against` are in `unit`; `ratio` is the figure that
    `goal` speaks of where there is something to compare with."""

    name: str
    value: float
    unit: str
    against: float | None
    ratio: float | None
    goal: str
    met: bool


def compare(
    name: str,
    ours: Callable[[], float],
    theirs: Callable[[], float],
    *,
    unit: str,
    goal: float,
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
        f"ratio at least {goal:g}",
        ratio >= goal,
    )
