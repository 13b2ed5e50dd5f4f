"""The stores that the routes are tried on."""

import pytest

from tests.integration.gateway.helpers import PATIENCE_S

LIMITS = (
    "gateway.guarding.TIMEOUT_S",
    "gateway.introspection.PATIENCE_S",
    "supervisors.conditions.CHECK_TIMEOUT_S",
    "supervisors.health.CHECK_TIMEOUT_S",
)
"""That no setting changes, and that a machine reaches by standing still."""


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in LIMITS:
        monkeypatch.setattr(limit, PATIENCE_S)
