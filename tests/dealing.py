"""Which tests come when, and which of them stay together, so that all cores are busy.

Tests against servers wait much of their time, the others never: they are spread among those, and
go on for a while when no more are left that wait. A module that takes long would keep one worker
busy at the end, and so it comes first.
"""

from collections.abc import Sequence
from typing import TypeVar

import pytest
from xdist.scheduler import LoadFileScheduling

Item = TypeVar("Item")

SIMULATED = {"test_all_together.py", "test_planted.py", "test_scenarios.py"}
"""Most of the simulations. No test of these modules shares anything with another one."""

LONGEST = {"test_operations.py"}

WAITING_SHARE = 0.85
"""The tests that wait have begun when this much of the order is behind."""

BINARY_TESTS = "test_binary.py"
"""They come when the binary is ready: late in any order."""


class SpreadScheduling(LoadFileScheduling):  # type: ignore[misc]
    """A module stays with one worker, except those of which every test may be anywhere."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        return nodeid if file.rpartition("/")[2] in SIMULATED else file


def by_length(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The order for one process."""
    return sorted(items, key=lambda item: (_is_later(item), item.path.name == BINARY_TESTS))


def dealt(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The order for several workers, the same for each of them."""
    simulated, waiting, others = [], [], []
    for item in items:
        if item.path.name in SIMULATED:
            simulated.append(item)
        elif "integration" in item.path.parts:
            waiting.append(item)
        else:
            others.append(item)
    order = spread((simulated, 1.0), (waiting, WAITING_SHARE), (others, 1.0))
    return sorted(order, key=_is_later)


def spread(*kinds: tuple[Sequence[Item], float]) -> list[Item]:
    """Each kind in its own order and at equal distances from the beginning to its share of all."""
    places = [
        (share * number / len(items), item)
        for items, share in kinds
        for number, item in enumerate(items)
    ]
    return [item for _, item in sorted(places, key=lambda place: place[0])]


def _is_later(item: pytest.Item) -> bool:
    return item.path.parent.name != "unit" and item.path.name not in LONGEST
