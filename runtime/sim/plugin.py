"""The pytest plugin: `pytest_plugins = ["runtime.sim.plugin"]` in a conftest.

`simulate` runs a scenario; `simulation_seeds` are those that `--simulation-seeds` asks for.
"""

from collections.abc import Callable, Iterable

import pytest

from runtime.sim.report import failure_text
from runtime.sim.running import run_seed
from runtime.sim.scenario import Scenario
from runtime.sim.shrinking import shrink

DEFAULT_SEEDS = 20
SHRINKING_RUNS = 60
SIMPLIFYING_RUNS = 60

Simulate = Callable[..., None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("simulation").addoption(
        "--simulation-seeds",
        type=int,
        default=DEFAULT_SEEDS,
        metavar="N",
        help="how many seeds simulations run, unless a test says it",
    )


@pytest.fixture(scope="session")
def simulation_seeds(request: pytest.FixtureRequest) -> range:
    """The seeds of `--simulation-seeds`."""
    return range(request.config.getoption("--simulation-seeds"))


@pytest.fixture(scope="session")
def simulate(simulation_seeds: range) -> Simulate:
    """`simulate(scenario)` or `simulate(scenario, seeds)`: run each seed twice.

    The test fails at the first seed that fails, with its plan, the least of it that fails, and
    the last lines of that. Not from within a Trio run: the test is a plain function.
    """

    def run(scenario: type[Scenario], seeds: Iterable[int] = simulation_seeds) -> None:
        for seed in seeds:
            outcome = run_seed(scenario, seed, twice=True)
            if outcome.findings:
                shrunk = shrink(scenario, outcome, SHRINKING_RUNS, SIMPLIFYING_RUNS)
                pytest.fail(failure_text(scenario.name, outcome, shrunk), pytrace=False)

    return run
