"""Trials: running parts of what failed, with other values, to see whether they fail as well."""

import attrs

from runtime.sim.running import Outcome, run_script
from runtime.sim.scenario import Scenario
from runtime.sim.selection import Selection

SIMULATED_MAX_S = 100_000.0
"""How many virtual seconds the runs of one budget may take: a bound of their time that is the same
on every machine."""


@attrs.define
class Trials:
    """Runs of selections of what failed, each of them once, as long as there is a budget."""

    scenario: type[Scenario]
    failed: Outcome
    runs: int = 0
    failures: dict[Selection, Outcome] = attrs.field(factory=dict)
    _runs_max: int = 0
    _seconds_left: float = 0.0
    _passed: set[Selection] = attrs.field(factory=set)

    def __attrs_post_init__(self) -> None:
        self.failures[Selection.of(self.failed.script)] = self.failed

    def allow(self, runs: int) -> None:
        """So many more runs, and `SIMULATED_MAX_S`."""
        self._runs_max, self._seconds_left = self.runs + runs, SIMULATED_MAX_S

    @property
    def are_over(self) -> bool:
        """Whether the budget is used up."""
        return self.runs >= self._runs_max or self._seconds_left <= 0

    def fail(self, selection: Selection) -> bool:
        """Whether it is known to break one of the rules that were broken."""
        if selection in self.failures:
            return True
        if selection in self._passed or self.are_over:
            return False
        self.runs += 1
        outcome = self._outcome(selection)
        if outcome is None or not outcome.rules & self.failed.rules:
            self._passed.add(selection)
            return False
        self.failures[selection] = outcome
        return True

    def _outcome(self, selection: Selection) -> Outcome | None:
        """None where the scenario itself does not work: that is not what is looked for."""
        try:
            outcome = run_script(self.scenario, selection.apply(self.failed.script))
        except Exception:
            return None
        self._seconds_left -= outcome.seconds
        return outcome
