"""The stores that the contract suite runs against."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runtime.storage import RUNTIME_MIGRATIONS, Database, migrate, open_database


@pytest.fixture(params=["sqlite file", "sqlite memory"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty, migrated store of each kind."""
    urls = {
        "sqlite file": f"sqlite:///{tmp_path}/store.db",
        "sqlite memory": "sqlite:///:memory:",
    }
    database = await open_database(urls[request.param])
    await migrate(database, [RUNTIME_MIGRATIONS], datetime.now(UTC))
    yield database
    await database.close()
