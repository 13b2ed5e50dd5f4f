"""Logs are kept instead of printed: messages fail on purpose here."""

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """What the test logged so far."""
    with capture_logs() as entries:
        yield entries
