"""The stores that domains are tried on, and the patience of whoever asks them in real time."""

from pathlib import Path

import pytest

from tests.servers import PostgresServer, unhurried_postgres
from tests.trees import MEMORY, unhurried_asks


@pytest.fixture(autouse=True)
def _patient_asks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In real time; in virtual time nothing else takes any."""
    if "autojump_clock" not in request.fixturenames:
        unhurried_asks(monkeypatch)


@pytest.fixture(params=["sqlite memory", "postgresql"])
def store_url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty store of each kind; with `trio(run=host.run)` only."""
    return MEMORY if request.param != "postgresql" else _migrated(request, monkeypatch)


@pytest.fixture(params=["sqlite", "postgresql"])
def lasting_url(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """As `store_url`, of stores that may be opened again."""
    if request.param == "postgresql":
        return _migrated(request, monkeypatch)
    return f"sqlite:///{tmp_path}/loyalnest.db"


def _migrated(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database of a server that is started only for those who want it."""
    unhurried_postgres(monkeypatch)
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.migrated_database()
