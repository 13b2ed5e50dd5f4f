"""How fast simulations are, by the processor's time, and how often an idle program wakes up.

The bounds of the former leave room for a busy machine; the latter is the same on every one.
"""

from collections import defaultdict

import pytest

from tests.bench.simulating import LOAD_S, idle_steps, seeds_of_everything_s, speed_under_load
from tests.processor import measured

SEEDS = 5
FULL_SEED_MAX_S = 1.0
"""Measured: 0.1 to 0.2 s on a quiet machine."""

SPEED_MIN, ROUNDS = 300, 3
"""Simulated seconds in one of the processor. Measured: 800 to 1,100."""

DOMAIN_STEPS_MAX, PLATFORM_STEPS_MAX = 2.0, 5.0
"""In an idle second. A domain that asks the store something every second takes four: let it wait
for an event or a notice, and look by itself every few seconds in case that was lost."""


@pytest.mark.slow
def test_a_seed_of_everything_takes_a_fraction_of_a_second() -> None:
    with measured() as spent:
        seeds_of_everything_s(SEEDS)
    assert spent.s / SEEDS <= FULL_SEED_MAX_S


@pytest.mark.slow
def test_simulated_time_under_load_runs_far_ahead_of_real_time() -> None:
    """In the best of some rounds."""
    speeds = []
    for _ in range(ROUNDS):
        with measured() as spent:
            speed_under_load()
        speeds.append(LOAD_S / spent.s)
    assert max(speeds) >= SPEED_MIN


@pytest.mark.slow
def test_nobody_wakes_up_often_in_an_idle_program() -> None:
    parts: defaultdict[str, float] = defaultdict(float)
    for name, steps in idle_steps().items():
        parts["/".join(name.split("/")[1:3]) if "/domains/" in name else name.split("/")[0]] += (
            steps
        )
    platform = parts.pop("loyalnest")
    domains = {part: steps for part, steps in parts.items() if part.startswith("domains/")}
    assert len(domains) >= 5
    assert platform <= PLATFORM_STEPS_MAX
    assert {part: steps for part, steps in domains.items() if steps > DOMAIN_STEPS_MAX} == {}
    assert sum(parts.values()) - sum(domains.values()) <= 1
