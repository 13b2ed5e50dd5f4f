"""The stores that the contract suite runs against."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from runtime.storage import RUNTIME_MIGRATIONS, Database, migrate, open_database
from tests.servers import PostgresServer, unhurried_postgres
from tests.stores import unhurried
from tests.trees import unhurried_asks

KINDS = ("sqlite file", "sqlite memory", "postgresql")


@pytest.fixture(autouse=True)
def _patient_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    unhurried_asks(monkeypatch)


@pytest.fixture(params=KINDS)
def database_url(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The URL of an empty store of each kind."""
    if request.param == "postgresql":
        unhurried_postgres(monkeypatch)
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.new_database()
    return {
        "sqlite file": f"sqlite:///{tmp_path}/store.db",
        "sqlite memory": "sqlite:///:memory:",
    }[request.param]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An empty, migrated store of each kind, with the rights to make tables."""
    database = await open_database(database_url, role=None)
    await migrate(database, [RUNTIME_MIGRATIONS], datetime.now(UTC))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(database.attend)
        with unhurried():
            yield database
        nursery.cancel_scope.cancel()
    await database.close()
