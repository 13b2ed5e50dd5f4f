"""Simulated overload: what is served, and in which order it is given up."""

from random import Random

import pytest

from runtime.policies.gradient import GradientSpec
from runtime.policies.priority import Priority
from runtime.policies.shedding import LoadShedder, SheddingSpec
from tests.unit.policies.queueing import Service, Tally
from tests.virtual import run_virtually

CAPACITY = 100.0
"""Pieces of work that one processor does in a second."""

DURATION_S = 20.0

OVERLOAD = {
    Priority.WEBHOOKS: 20.0,
    Priority.WRITES: 60.0,
    Priority.READS: 100.0,
    Priority.DASHBOARDS: 40.0,
}
"""Arrivals per second: 2.2 times the capacity."""

SPEC = SheddingSpec(gradient=GradientSpec(limit_min=8, limit_start=10, limit_max=100))


async def simulate(
    seed: int, rates: dict[Priority, float], spec: SheddingSpec
) -> dict[Priority, Tally]:
    """What became of the arrivals of each priority."""
    shedder = LoadShedder("edge", spec, Random(seed))
    service = Service(seed, shedder, 1 / CAPACITY, 1)
    await service.run(rates, DURATION_S)
    return {priority: service.tallies[priority] for priority in rates}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_under_overload_the_important_is_served_and_the_rest_gets_what_is_left(seed: int) -> None:
    tallies = run_virtually(simulate, seed, OVERLOAD, SPEC)
    share = {priority: tally.served_share for priority, tally in tallies.items()}
    assert share[Priority.WEBHOOKS] >= 0.98
    assert share[Priority.WRITES] >= 0.9
    assert share[Priority.WRITES] > share[Priority.READS] > share[Priority.DASHBOARDS]
    assert sum(tally.served for tally in tallies.values()) >= 0.9 * CAPACITY * DURATION_S
    assert max(tally.p99_s for tally in tallies.values() if tally.served) <= 0.5
    assert all(tally.offered == tally.served + tally.shed for tally in tallies.values())


@pytest.mark.slow
def test_below_the_capacity_nothing_is_turned_away() -> None:
    tallies = run_virtually(simulate, 3, {Priority.READS: 60.0}, SheddingSpec())
    assert tallies[Priority.READS].shed == 0


@pytest.mark.slow
def test_a_run_follows_from_its_seed() -> None:
    first, again, other = (run_virtually(simulate, seed, OVERLOAD, SPEC) for seed in (5, 5, 6))
    assert first == again
    assert first != other
