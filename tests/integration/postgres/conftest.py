"""An empty database of the session's server, with the whole schema, as two roles see it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from runtime.storage import migrate
from runtime.storage.postgres import PostgresDatabase
from supervisors.application import MIGRATIONS
from tests.servers import PostgresServer, unhurried_postgres
from tests.stores import unhurried

CONNECTIONS = 6


@pytest.fixture
def url(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    unhurried_postgres(monkeypatch)
    return postgres.migrated_database()


@pytest.fixture
async def app(url: str) -> AsyncIterator[PostgresDatabase]:
    """As the application sees it: under its restricted role."""
    database = PostgresDatabase(url, CONNECTIONS)
    await migrate(database, MIGRATIONS, datetime.now(UTC))
    with unhurried():
        yield database
    await database.close()


@pytest.fixture
async def owner(app: PostgresDatabase, url: str) -> AsyncIterator[PostgresDatabase]:
    """As its owner sees it."""
    database = PostgresDatabase(url, CONNECTIONS, role=None)
    with unhurried():
        yield database
    await database.close()
