"""What PostgreSQL undid, or cut off, is done again by the pipeline."""

from collections.abc import AsyncIterator
from random import Random

import attrs
import pytest
import trio

from runtime import host
from runtime.policies import Pipeline
from runtime.storage import AcrossMerchants, DatabaseHandle, open_database
from runtime.storage import postgres as postgres_adapter
from runtime.storage.policies import DATABASE
from tests.servers import PostgresServer

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

PATIENCE_S = 60.0

TABLE = "CREATE TABLE pairs (merchant_id TEXT PRIMARY KEY, value BIGINT NOT NULL)"
FILL = "INSERT INTO pairs (merchant_id, value) VALUES ($1, 0)"
ADD = "UPDATE pairs SET value = value + 1 WHERE merchant_id = $1"
SLEEP = AcrossMerchants("SELECT pg_sleep(0.2)")
SUM = AcrossMerchants("SELECT sum(value) FROM pairs")
END_OTHERS = AcrossMerchants(
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE pid <> pg_backend_pid() AND datname = current_database()"
)


@pytest.fixture
async def handle(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[DatabaseHandle]:
    """An empty database with two rows, and time for a machine that stands still."""
    monkeypatch.setattr(postgres_adapter, "WRITE_TIMEOUT_S", PATIENCE_S)
    database = await open_database(postgres.new_database(), role=None)
    spec = attrs.evolve(DATABASE, deadline_s=PATIENCE_S, attempt_s=PATIENCE_S)
    handle = DatabaseHandle(Pipeline("database", spec, Random(1)))
    handle.attach(database)
    await handle.execute(TABLE)
    for row in ("a", "b"):
        await handle.execute(FILL, row)
    yield handle
    await database.close()


async def test_two_transactions_in_a_deadlock_both_happen(handle: DatabaseHandle) -> None:
    """Clause P11: SQLSTATE 40P01."""

    async def add(first: str, second: str) -> None:
        await handle.transact([(ADD, (first,)), (SLEEP, ()), (ADD, (second,))])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(add, "a", "b")
        nursery.start_soon(add, "b", "a")
    assert await handle.fetch_value(SUM) == 4


async def test_a_query_whose_connection_was_ended_is_asked_on_another(
    handle: DatabaseHandle,
) -> None:
    """Clause P11."""
    before = await handle.fetch_value(SUM)

    async def end_others() -> None:
        await handle.fetch_value(END_OTHERS)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(handle.fetch_value, SLEEP)
        await trio.sleep(0.05)
        nursery.start_soon(end_others)
    assert await handle.fetch_value(SUM) == before
