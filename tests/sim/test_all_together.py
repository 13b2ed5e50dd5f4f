"""All domains together, seed by seed, each seed twice: nothing is found, and the digests agree."""

import pytest

from supervisors.simulation.everything import EverythingScenario
from tests.sim.chunks import chunks, name_of, run_seeds

OF_ALL = 70
LONG_OF_ALL = 4_000


@pytest.mark.slow
@pytest.mark.parametrize("seeds", chunks(OF_ALL, 10), ids=name_of)
def test_nothing_is_found_in_all_domains_together(seeds: range) -> None:
    run_seeds(EverythingScenario, seeds)


@pytest.mark.long
@pytest.mark.parametrize("seeds", chunks(LONG_OF_ALL, 100), ids=name_of)
def test_nothing_is_found_in_all_domains_for_long(seeds: range) -> None:
    run_seeds(EverythingScenario, range(1_000 + seeds.start, 1_000 + seeds.stop))
