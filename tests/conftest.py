"""What every test may use: the real servers, and Trio on another loop for a whole module."""

from collections.abc import Iterator

import pytest

from runtime.policies import be_strict
from tests.binary import BinaryBuild, building
from tests.servers import postgres, redis_server

BINARY_TESTS = "test_binary.py"
"""Come last, when the binary is ready."""

__all__ = ["postgres", "redis_server"]


@pytest.fixture(scope="session", autouse=True)
def calls_need_deadlines() -> Iterator[None]:
    """A call that goes out without a deadline raises `NoDeadline`, in every test."""
    before = be_strict(True)
    yield
    be_strict(before)


@pytest.fixture(scope="session", autouse=True)
def binary_build(request: pytest.FixtureRequest) -> Iterator[BinaryBuild | None]:
    """Built from the start of a session that tests it."""
    if not any(item.path.name == BINARY_TESTS for item in request.session.items):
        yield None
        return
    with building() as build:
        yield build


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let `pytest.mark.trio(run=...)` of a test, else of its module, win over `trio_mode`."""
    for item in items:
        module = item.getparent(pytest.Module)
        of_test = [mark for mark in item.own_markers if mark.name == "trio" and mark.kwargs]
        of_module = module.iter_markers("trio") if module is not None else ()
        for mark in of_test or of_module:
            item.add_marker(pytest.mark.trio(**mark.kwargs), append=False)
    items.sort(key=lambda item: item.path.name == BINARY_TESTS)
