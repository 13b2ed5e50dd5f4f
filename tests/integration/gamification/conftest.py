"""The stores that players are tried on."""

import pytest

from tests.servers import PostgresServer
from tests.trees import MEMORY


@pytest.fixture(params=["sqlite memory", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store of each kind; with `trio(run=host.run)` only."""
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.migrated_database()
    return MEMORY
