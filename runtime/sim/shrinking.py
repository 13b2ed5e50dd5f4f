"""Shrinking: the few parts of a failing run that it takes to fail, and then the simplest values.

Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002)
over the operations, the events of the plan and its chances takes few runs to leave few parts.
Hypothesis goes on from there, where it is installed, and makes what is inside of them simple.
"""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TypeVar

import attrs

from runtime.sim.running import Outcome
from runtime.sim.scenario import Scenario
from runtime.sim.selection import Selection
from runtime.sim.trials import Trials

Item = TypeVar("Item")

RUNS_MAX = 300
"""How often a run is repeated to leave out parts of it."""

VALUES_RUNS_MAX = 200
"""How often it is repeated after that to make its values simpler."""

DELTA_DEBUGGING = "delta debugging"


@attrs.frozen(kw_only=True)
class Shrunk:
    """What is left of a failed run: what came of it, after how many runs, and by which means."""

    selection: Selection
    outcome: Outcome
    runs: int
    means: str

    @classmethod
    def whole(cls, failed: Outcome) -> "Shrunk":
        """What is not shrunk."""
        whole = Selection.of(failed.script)
        return cls(selection=whole, outcome=failed, runs=0, means="it was not shrunk")


def shrink(
    scenario: type[Scenario],
    failed: Outcome,
    runs_max: int = RUNS_MAX,
    values_runs_max: int = VALUES_RUNS_MAX,
) -> Shrunk:
    """The least found that still breaks one of the rules that were broken.

    Takes `runs_max` runs at most to leave out parts, and `values_runs_max` to make values simpler,
    which needs Hypothesis. The same outcome is shrunk to the same each time.
    """
    trials = Trials(scenario, failed)
    trials.allow(runs_max)
    whole = Selection.of(failed.script).parts()
    parts = minimal(whole, lambda some: trials.fail(Selection.of_parts(some)), runs_max)
    selection, means = Selection.of_parts(parts), DELTA_DEBUGGING
    if find_spec("hypothesis") is None:
        means += " alone, as Hypothesis is not installed"
    else:
        from runtime.sim.simplifying import simplest  # noqa: PLC0415 - it needs Hypothesis

        trials.allow(values_runs_max)
        selection = simplest(trials, selection)
        means += " and Hypothesis"
    return Shrunk(
        selection=selection,
        outcome=trials.failures[selection],
        means=f"{means}, {trials.runs} runs",
        runs=trials.runs,
    )


def minimal(
    parts: Sequence[Item], fails: Callable[[Sequence[Item]], bool], runs_max: int
) -> list[Item]:
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
