"""Which tests come when, and which of them stay together, so that all cores are busy.

Tests against servers wait much of their time, simulations never: they are spread among those.
A module that takes long would keep one worker busy at the end, and so it comes first.
"""

from collections.abc import Sequence
from typing import TypeVar

import pytest
from xdist.scheduler import LoadFileScheduling

Item = TypeVar("Item")

SIMULATED = {"test_all_together.py", "test_planted.py", "test_scenarios.py"}
"""Most of the simulations. No test of these modules shares anything with another one."""

LONGEST = {"test_operations.py"}

BINARY_TESTS = "test_binary.py"
"""They come when the binary is ready."""


class SpreadScheduling(LoadFileScheduling):  # type: ignore[misc]
    """A module stays with one worker, except those of which every test may be anywhere."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        return nodeid if file.rpartition("/")[2] in SIMULATED else file


def by_length(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The order for one process."""
    return sorted(items, key=_when)


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
    return by_length([*spread(simulated, waiting), *others])


def spread(few: Sequence[Item], many: Sequence[Item]) -> list[Item]:
    """Both in their own order, `few` at equal distances among `many`."""
    places = [
        (number / len(some), item) for some in (few, many) for number, item in enumerate(some)
    ]
    return [item for _, item in sorted(places, key=lambda place: place[0])]


def _when(item: pytest.Item) -> int:
    if item.path.name == BINARY_TESTS:
        return 2
    return int(item.path.parent.name != "unit" and item.path.name not in LONGEST)
