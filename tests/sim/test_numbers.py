"""How fast simulations are, by the processor's time. The bounds leave room for a busy machine."""

import time

import attrs
import pytest

from runtime.sim import FaultPlan, run_script, run_seed, script_of
from supervisors.simulation.everything import EverythingScenario
from supervisors.simulation.points import PointsScenario

SEEDS = 10
FULL_SEED_MAX_S = 0.6
"""Measured: 0.1 to 0.2 s on a quiet machine."""

LOAD_S = 300.0
SPEED_MIN = 150
"""Simulated seconds in one of the processor. Measured: 500 to 900 with one request a second."""


@pytest.mark.slow
def test_a_seed_of_everything_takes_a_fraction_of_a_second() -> None:
    begun_at = time.process_time()
    for seed in range(SEEDS):
        run_seed(EverythingScenario, seed)
    assert (time.process_time() - begun_at) / SEEDS <= FULL_SEED_MAX_S


@pytest.mark.slow
def test_simulated_time_under_load_runs_far_ahead_of_real_time() -> None:
    """One process, one request a second, no faults."""

    class Load(PointsScenario):
        operations = int(LOAD_S)
        pauses_s = (2.0 * PointsScenario.clients,)

    script = attrs.evolve(script_of(Load, 1), plan=FaultPlan(duration_s=LOAD_S))
    begun_at = time.process_time()
    outcome = run_script(Load, script)
    assert outcome.findings == ()
    assert outcome.seconds / (time.process_time() - begun_at) >= SPEED_MIN
