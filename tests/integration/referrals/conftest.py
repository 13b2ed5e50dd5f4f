"""The stores that referrals are tried on."""

from pathlib import Path

import pytest

from tests.servers import PostgresServer, unhurried_postgres
from tests.trees import unhurried_asks


@pytest.fixture(autouse=True)
def _patient_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    unhurried_asks(monkeypatch)


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
