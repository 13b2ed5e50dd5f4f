"""Shrinking: the few parts of a failing run that it takes to fail.

Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002)
over the operations, the events of the plan and its chances. It begins with what failed, which a
library that draws anew cannot promise, and works where no test library is installed.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import attrs

from runtime.sim.faults import Chances
from runtime.sim.running import Outcome, Script, run_script
from runtime.sim.scenario import Scenario

Part = TypeVar("Part")

RUNS_MAX = 300
"""How often a run is repeated to shrink it."""


@attrs.frozen(kw_only=True)
class Selection:
    """Which parts of a script happen: numbers of steps and events, names of chances."""

    steps: tuple[int, ...]
    events: tuple[int, ...]
    chances: tuple[str, ...]

    @classmethod
    def of(cls, script: Script) -> "Selection":
        """All of it."""
        chances = attrs.asdict(script.plan.chances)
        return cls(
            steps=tuple(range(len(script.steps))),
            events=tuple(range(len(script.plan.events))),
            chances=tuple(name for name, chance in chances.items() if chance),
        )

    def parts(self) -> list[int | str | tuple[str, int]]:
        return [*self.chances, *(("event", number) for number in self.events), *self.steps]

    @classmethod
    def of_parts(cls, parts: Sequence[int | str | tuple[str, int]]) -> "Selection":
        return cls(
            steps=tuple(part for part in parts if isinstance(part, int)),
            events=tuple(part[1] for part in parts if isinstance(part, tuple)),
            chances=tuple(part for part in parts if isinstance(part, str)),
        )

    def apply(self, script: Script) -> Script:
        """The script with only these parts."""
        chances = {name: getattr(script.plan.chances, name) for name in self.chances}
        plan = attrs.evolve(
            script.plan,
            chances=Chances(**chances),
            events=tuple(script.plan.events[number] for number in self.events),
        )
        steps = tuple(script.steps[number] for number in self.steps)
        return attrs.evolve(script, steps=steps, plan=plan)


def shrink(
    scenario: type[Scenario], failed: Outcome, runs_max: int = RUNS_MAX
) -> tuple[Selection, Outcome]:
    """The smallest selection found that still breaks one of the rules that were broken, and what
    came of it."""
    script = failed.script
    best = failed

    def fails(parts: Sequence[int | str | tuple[str, int]]) -> bool:
        nonlocal best
        outcome = run_script(scenario, Selection.of_parts(parts).apply(script))
        if outcome.rules & failed.rules:
            best = outcome
            return True
        return False

    parts = minimal(Selection.of(script).parts(), fails, runs_max)
    return Selection.of_parts(parts), best


def minimal(
    parts: Sequence[Part], fails: Callable[[Sequence[Part]], bool], runs_max: int
) -> list[Part]:
    """The parts that are left when leaving out any more of them makes it pass, as far as
    `runs_max` calls of `fails` show. All of them together fail."""
    left, runs = list(parts), 0
    size = max(1, len(left) // 2)
    while left:
        for start in range(0, len(left), size):
            without = left[:start] + left[start + size :]
            runs += 1
            if runs > runs_max:
                return left
            if fails(without):
                left, size = without, max(1, min(size, len(without) // 2))
                break
        else:
            if size == 1:
                break
            size //= 2
    return left
