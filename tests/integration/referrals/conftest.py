"""The stores that referrals are tried on."""

from pathlib import Path

import pytest

from tests.servers import PostgresServer


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store of each kind; with `trio(run=host.run)` only."""
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.migrated_database()
    return f"sqlite:///{tmp_path}/loyalnest.db"
