"""Planted bugs are found, each within two hundred seeds, and without them nothing is.

A checker that never fails proves nothing, and one that always fails does not either.
"""

import pytest

from runtime.sim import run_seed
from tests.sim.planted.bugs import BUGS, Bug

SEEDS_MAX = 200


def seed_that_finds(bug: Bug) -> int:
    """The first seed from `first_seed` under which the planted bug is found."""
    with pytest.MonkeyPatch.context() as patch:
        bug.plant(patch)
        for number in range(SEEDS_MAX):
            seed = (bug.first_seed + number) % SEEDS_MAX
            if run_seed(bug.scenario, seed).rules & bug.rules:
                return seed
    raise AssertionError(f"{bug.name} was not found in {SEEDS_MAX} seeds")


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found_and_without_it_the_same_seed_passes(bug: Bug) -> None:
    assert run_seed(bug.scenario, seed_that_finds(bug)).findings == ()


def test_there_are_more_than_ten() -> None:
    assert len({bug.name for bug in BUGS}) == len(list(BUGS)) >= 10
