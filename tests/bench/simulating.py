"""How fast simulations are, by the processor's time."""

import time
from typing import Final

import attrs

from runtime.sim import FaultPlan, run_script, run_seed, script_of
from supervisors.simulation.everything import EverythingScenario
from supervisors.simulation.points import PointsScenario
from tests.bench.harness import Figure, at_most

LOAD_S: Final = 300.0
SPEED_GOAL: Final = 1_000
ROUNDS: Final = 5

SEEDS: Final = 200
SEEDS_MAX_S: Final = 60.0


class Load(PointsScenario):
    """One request a second, for `LOAD_S`."""

    operations = int(LOAD_S)
    pauses_s = (2.0 * PointsScenario.clients,)


def speed_under_load() -> float:
    """Simulated seconds in one of the processor: one process, one request a second, no faults."""
    script = attrs.evolve(script_of(Load, 1), plan=FaultPlan(duration_s=LOAD_S))
    begun_at = time.process_time()
    outcome = run_script(Load, script)
    if outcome.findings:
        raise RuntimeError(f"found: {outcome.findings}")
    return outcome.seconds / (time.process_time() - begun_at)


def seeds_of_everything_s(seeds: int) -> float:
    """What these seeds of the full scenario, with all faults, take of the processor."""
    begun_at = time.process_time()
    for seed in range(seeds):
        run_seed(EverythingScenario, seed)
    return time.process_time() - begun_at


def simulating() -> list[Figure]:
    speed = max(speed_under_load() for _ in range(ROUNDS))
    return [
        Figure(
            f"simulated seconds in one of the processor, best of {ROUNDS}, one request a second",
            speed,
            "s",
            None,
            None,
            f"at least {SPEED_GOAL:,} s",
            speed >= SPEED_GOAL,
        ),
        at_most(
            f"{SEEDS} seeds of everything, all faults",
            seeds_of_everything_s(SEEDS),
            "s",
            SEEDS_MAX_S,
        ),
    ]
