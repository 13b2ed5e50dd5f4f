"""How fast simulations are, by the processor's time. The bounds leave room for a busy machine."""

import pytest

from tests.bench.simulating import seeds_of_everything_s, speed_under_load

SEEDS = 10
FULL_SEED_MAX_S = 0.6
"""Measured: 0.1 to 0.2 s on a quiet machine."""

SPEED_MIN = 200
"""Simulated seconds in one of the processor. Measured: 600 to 1,000."""


@pytest.mark.slow
def test_a_seed_of_everything_takes_a_fraction_of_a_second() -> None:
    assert seeds_of_everything_s(SEEDS) / SEEDS <= FULL_SEED_MAX_S


@pytest.mark.slow
def test_simulated_time_under_load_runs_far_ahead_of_real_time() -> None:
    assert speed_under_load() >= SPEED_MIN
