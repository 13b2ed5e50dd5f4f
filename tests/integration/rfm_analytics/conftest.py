"""The stores that runs are tried on."""

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
    if request.param == "postgresql":
        unhurried_postgres(monkeypatch)
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.migrated_database()
    return MEMORY
