"""What every test may use: the real servers, and Trio on another loop for a whole module."""

import pytest

from tests.servers import postgres, redis_server

__all__ = ["postgres", "redis_server"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let `pytestmark = pytest.mark.trio(run=...)` of a module win over `trio_mode`."""
    for item in items:
        module = item.getparent(pytest.Module)
        for mark in module.iter_markers("trio") if module is not None else ():
            item.add_marker(pytest.mark.trio(**mark.kwargs), append=False)
