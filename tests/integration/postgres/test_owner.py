"""Changing the schema: it has limits of its own, far from those of other commands."""

import pytest
import trio

from runtime import host
from runtime.storage import postgres_session
from runtime.storage.postgres import PostgresDatabase

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

COMMAND_S = 0.2
"""What other commands are given here, so that nobody has to wait for a minute."""


@pytest.fixture
def database(url: str, monkeypatch: pytest.MonkeyPatch) -> PostgresDatabase:
    monkeypatch.setattr(postgres_session, "COMMAND_TIMEOUT_S", COMMAND_S)
    return PostgresDatabase(url, 4)


async def test_a_migration_may_take_longer_than_any_other_command(
    database: PostgresDatabase,
) -> None:
    async with database.as_owner() as owner:
        await owner.execute("CREATE TABLE slow AS SELECT pg_sleep(0.5) IS NULL AS nothing")
        assert await owner.fetch_value("SELECT count(*) FROM slow") == 1


async def test_who_waits_for_another_ones_migration_outlasts_it(
    database: PostgresDatabase,
) -> None:
    async def second(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        async with database.as_owner() as owner:
            assert await owner.fetch_value("SELECT count(*) FROM first") == 0

    async with trio.open_nursery() as nursery, database.as_owner() as first:
        await nursery.start(second)
        await trio.sleep(3 * COMMAND_S)
        await first.execute("CREATE TABLE first (number BIGINT)")
