"""Redrawing: a step as its scenario drew it, with other random numbers.

Whatever a generator of random numbers gives comes from two methods of it. One that notes what
those gave, and one that lets somebody choose what they give, make steps of any scenario
variable, and each of them is one that the scenario might have drawn.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

from runtime.ports import seeded_random
from runtime.sim.running import Script
from runtime.sim.scenario import Scenario

FRACTIONS = 16
"""What is continuous is chosen from so many fractions of a whole, and what it was."""

Given = Sequence[int | float]
"""What a generator gave while something was drawn."""

Choose = Callable[[int, int], int]
"""`choose(most, was)` chooses from 0 to `most`; `was` is what changes nothing."""


class NotingRandom(Random):
    """Gives what `source` gives, and notes it in `given`."""

    def __init__(self, source: Random) -> None:
        super().__init__(0)
        self._source = source
        self.given: list[int | float] = []

    def random(self) -> float:
        value = self._source.random()
        self.given.append(value)
        return value

    def getrandbits(self, k: int, /) -> int:
        bits = self._source.getrandbits(k)
        self.given.append(bits)
        return bits


class ChosenRandom(Random):
    """Gives what is chosen, which may be what was `given` in its place. The least that may be
    chosen makes numbers small, takes the first of several, and lets what is said to be likely
    (`random() < 0.3`) not happen."""

    def __init__(self, choose: Choose, given: Given) -> None:
        super().__init__(0)
        self._choose = choose
        self._given: Iterator[int | float] = iter(given)
        self._is_size = False

    def random(self) -> float:
        was, chosen = next(self._given, None), self._choose(FRACTIONS, FRACTIONS)
        if chosen >= FRACTIONS and isinstance(was, float):
            return was
        part = min(chosen, FRACTIONS - 1) / FRACTIONS
        return part if self._is_size else (FRACTIONS - 1) / FRACTIONS - part

    def getrandbits(self, k: int, /) -> int:
        was, most = next(self._given, None), 2**k - 1
        return self._choose(most, was if isinstance(was, int) and was <= most else 0)

    def uniform(self, a: float, b: float) -> float:
        with self._sizes():
            return super().uniform(a, b)

    def choices(self, *arguments: Any, **options: Any) -> list[Any]:
        with self._sizes():
            return super().choices(*arguments, **options)

    @contextmanager
    def _sizes(self) -> Iterator[None]:
        """What is given meanwhile says how much, and not whether."""
        self._is_size = True
        try:
            yield
        finally:
            self._is_size = False


def given_for_steps(scenario: type[Scenario], script: Script) -> list[Given | None]:
    """What each step was drawn from; None where the seed of the script draws another one."""
    random, made = NotingRandom(seeded_random(f"{script.seed}/steps")), scenario()
    given: list[Given | None] = []
    for step in script.steps:
        random.given = []
        given.append(random.given if made.step(random) == step else None)
    return given
