"""The schema that the migrations make, compared with the one that was looked at."""

import pytest

from runtime import host
from runtime.storage import Dialect
from tests.contract.golden import golden_file, postgresql_schema, sqlite_schema
from tests.servers import PostgresServer

pytestmark = pytest.mark.trio(run=host.run)


async def test_sqlite_has_the_schema_that_was_reviewed() -> None:
    assert await sqlite_schema() == golden_file(Dialect.SQLITE).read_text()


async def test_postgresql_has_the_schema_that_was_reviewed(postgres: PostgresServer) -> None:
    assert await postgresql_schema(postgres) == golden_file(Dialect.POSTGRESQL).read_text()
