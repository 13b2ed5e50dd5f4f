"""Every scenario, seed by seed, each seed twice: nothing is found, and the digests are the same."""

import pytest

from runtime.sim import Scenario
from supervisors.simulation.everything import EverythingScenario
from supervisors.simulation.registry import SCENARIOS
from tests.sim.chunks import chunks, name_of, run_seeds
from tests.sim.test_all_together import LONG_OF_ALL, OF_ALL

ALONE = [scenario for scenario in SCENARIOS.values() if scenario is not EverythingScenario]
OF_EACH = 7
"""With those of all domains together more than two hundred."""

LONG_OF_EACH = 300
"""With those of all domains together ten thousand."""


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ALONE, ids=name_of)
def test_nothing_is_found_in_a_domain_alone(scenario: type[Scenario]) -> None:
    run_seeds(scenario, range(OF_EACH))


@pytest.mark.long
@pytest.mark.parametrize("seeds", chunks(LONG_OF_EACH, 100), ids=name_of)
@pytest.mark.parametrize("scenario", ALONE, ids=name_of)
def test_nothing_is_found_in_a_domain_for_long(scenario: type[Scenario], seeds: range) -> None:
    run_seeds(scenario, range(1_000 + seeds.start, 1_000 + seeds.stop))


def test_there_is_a_scenario_for_every_domain() -> None:
    domains = {"points", "orders", "products", "auth", "audit", "events"}
    assert {*domains, "jobs", "outbox", "deferrals", "entities"} <= set(SCENARIOS)
    assert len(ALONE) * OF_EACH + OF_ALL >= 200
    assert len(ALONE) * LONG_OF_EACH + LONG_OF_ALL >= 10_000
