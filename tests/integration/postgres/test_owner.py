"""Changing the schema: it has limits of its own, far from those of other commands."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
import trio

from runtime import host
from runtime.ports import system_ports
from runtime.storage import postgres_session
from runtime.storage.postgres import PostgresDatabase
from runtime.storage.postgres_session import IDLE_IN_TRANSACTION, Session
from tests.servers import PostgresServer
from tests.trees import running_tree

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

COMMAND_S = 0.2
"""What other commands are given here, so that nobody has to wait for a minute."""

LOOK_S = 0.05
TIMEOUT_S = 60.0

CUT_OFF_CREATOR = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND query LIKE 'CREATE TABLE schema_migrations%'"
    " AND wait_event_type = 'Lock'"
)
"""It waits for the table of the same name whose creation is not committed yet."""


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


async def test_a_migration_may_stand_still_for_longer_than_any_other_transaction(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgres_session.SERVER_SETTINGS, IDLE_IN_TRANSACTION, "100ms")

    async def stand_still(session: Session) -> None:
        await session.connection.execute("BEGIN; CREATE TABLE slow (number BIGINT)")
        await asyncio.sleep(0.5)
        await session.connection.execute("COMMIT")

    async with database.as_owner() as owner:
        await host.call(stand_still, owner._session)  # type: ignore[attr-defined] # as it has it
        assert await owner.fetch_value("SELECT count(*) FROM slow") == 0


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


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await host.call(asyncpg.connect, url)
    try:
        yield connection
    finally:
        connection.terminate()


async def test_a_program_whose_first_migration_is_cut_off_tries_it_again(
    postgres: PostgresServer,
) -> None:
    url = postgres.new_database()
    started = trio.Event()

    async def program() -> None:
        async with running_tree(url, system_ports()) as tree:
            await tree.create("ann")
            await tree.earn(10)
            assert (await tree.balance()).posted == 10
            started.set()

    async def cut_off() -> None:
        async with connected(url) as watcher:
            while not await host.call(watcher.fetchval, CUT_OFF_CREATOR):  # noqa: ASYNC110
                await trio.sleep(LOOK_S)

    async with connected(url) as blocker, trio.open_nursery() as nursery:
        await host.call(blocker.execute, "BEGIN; CREATE TABLE schema_migrations (number BIGINT)")
        nursery.start_soon(program)
        with trio.fail_after(TIMEOUT_S):
            await cut_off()
            await host.call(blocker.execute, "ROLLBACK")
            await started.wait()
