"""The stores that the routes are tried on."""

from pathlib import Path

import pytest

from tests.integration.gateway.helpers import PATIENCE_S
from tests.servers import PostgresServer, unhurried_postgres

LIMITS = (
    "runtime.ref.DEFAULT_ASK_TIMEOUT_S",
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


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The URL of an empty store of each kind; with `trio(run=host.run)` only."""
    if request.param == "postgresql":
        unhurried_postgres(monkeypatch)
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.migrated_database()
    return f"sqlite:///{tmp_path}/loyalnest.db"
