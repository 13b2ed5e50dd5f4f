"""What every test may use: the real servers, and Trio on another loop for a whole module."""

import pytest

from tests.servers import postgres, redis_server

__all__ = ["postgres", "redis_server"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let `pytest.mark.trio(run=...)` of a test, else of its module, win over `trio_mode`."""
    for item in items:
        module = item.getparent(pytest.Module)
        of_test = [mark for mark in item.own_markers if mark.name == "trio" and mark.kwargs]
        of_module = module.iter_markers("trio") if module is not None else ()
        for mark in of_test or of_module:
            item.add_marker(pytest.mark.trio(**mark.kwargs), append=False)
