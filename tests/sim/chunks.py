"""Seeds in chunks, so that a failure names its seeds, and workers share them."""

import pytest

from runtime.sim import Scenario, run_seed, shrink
from runtime.sim.report import failure_text


def chunks(total: int, size: int) -> list[range]:
    return [range(start, min(start + size, total)) for start in range(0, total, size)]


def name_of(parameter: object) -> str:
    if isinstance(parameter, range):
        return f"{parameter.start}-{parameter.stop - 1}"
    return getattr(parameter, "name", str(parameter))


def run_seeds(scenario: type[Scenario], seeds: range) -> None:
    """Each twice. Fails with the report of the first seed that fails."""
    for seed in seeds:
        outcome = run_seed(scenario, seed, twice=True)
        if outcome.findings:
            shrunk = shrink(scenario, outcome, runs_max=60, values_runs_max=60)
            pytest.fail(failure_text(scenario.name, outcome, shrunk), pytrace=False)
