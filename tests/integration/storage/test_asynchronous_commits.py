"""Commits that wait for the sync of another one, and stores that lose their power before it."""

import shutil
from pathlib import Path
from random import Random

import pytest
import trio

from runtime import host
from runtime.storage import CommitUnknown, Database, Statement, StorageUnavailable, Write
from runtime.storage.postgres import PostgresDatabase
from runtime.storage.sqlite import SqliteDatabase, open_sqlite_file
from tests.servers import PostgresServer, running, unhurried_postgres
from tests.stores import unhurried

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

TABLE = "CREATE TABLE things (merchant_id TEXT, id BIGINT, PRIMARY KEY (merchant_id, id))"
INSERT = Statement("things.insert", "INSERT INTO things (merchant_id, id) VALUES ($1, $2)", 10)
FIXED = Statement(
    "things.move", "UPDATE things SET id = $3 WHERE merchant_id = $1 AND id = $2", 20, exact=True
)
ALL = "SELECT id FROM things WHERE merchant_id = $1 ORDER BY id"

POWER_CUTS = 40

SLOW_WRITER = (
    "ALTER SYSTEM SET wal_writer_delay = '10s'",
    "ALTER SYSTEM SET wal_writer_flush_after = '64MB'",
)
"""Else the server itself would sync within 0.6 s."""

FLUSHED = "SELECT pg_current_wal_flush_lsn() >= CAST(CAST($1 AS TEXT) AS pg_lsn)"
WRITTEN = "SELECT CAST(pg_current_wal_insert_lsn() AS TEXT)"


async def append(store: Database, number: int, *, synchronous: bool) -> None:
    await store.append([(Write(INSERT, ("m", number)),)], synchronous=synchronous)


async def numbers(store: Database) -> list[int]:
    return [row[0] for row in await store.fetch(ALL, "m")]


def level(store: SqliteDatabase) -> int:
    """2 for FULL, 1 for NORMAL."""
    return int(store._writer.execute("PRAGMA synchronous").fetchone()[0])


async def test_sqlite_syncs_each_commit_that_is_synchronous_however_they_alternate(
    tmp_path: Path,
) -> None:
    store = await open_sqlite_file(tmp_path / "store.db")
    with unhurried():
        await store.execute(TABLE)
        for number in range(4):
            await append(store, 2 * number, synchronous=False)
            assert level(store) == 1
            if number % 2:
                await append(store, 2 * number + 1, synchronous=True)
            else:
                await store.execute(INSERT.sql, "m", 2 * number + 1)
            assert level(store) == 2
        assert await numbers(store) == list(range(8))
    await store.close()


async def test_sqlite_that_loses_its_power_loses_only_the_last_commits_nobody_synced(
    tmp_path: Path,
) -> None:
    """Clause J13, with the log cut off anywhere behind what was synced."""
    store = await open_sqlite_file(tmp_path / "store.db")
    log = tmp_path / "store.db-wal"
    with unhurried():
        await store.execute(TABLE)
        for number in (1, 2):
            await append(store, number, synchronous=False)
        await append(store, 3, synchronous=True)
        synced = log.stat().st_size
        for number in (4, 5, 6):
            await append(store, number, synchronous=False)
    found = set()
    random = Random(1)
    sizes = [synced, log.stat().st_size]
    for cut, size in enumerate([*sizes, *(random.randint(*sizes) for _ in range(POWER_CUTS))]):
        copy = tmp_path / f"cut-{cut}" / "store.db"
        copy.parent.mkdir()
        shutil.copy(tmp_path / "store.db", copy)
        torn = log.read_bytes()[:size]
        copy.with_name("store.db-wal").write_bytes(torn)
        after = await open_sqlite_file(copy)
        with unhurried():
            found.add(tuple(await numbers(after)))
        await after.close()
    await store.close()
    assert found == {tuple(range(1, last + 1)) for last in (3, 4, 5, 6)}


async def test_postgresql_that_is_killed_loses_only_the_last_commits_nobody_synced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Clause J13: one statement, and a transaction of several."""
    unhurried_postgres(monkeypatch)
    with running(PostgresServer) as server:
        url = server.new_database()
        store = PostgresDatabase(url, 4, None)
        with unhurried():
            await store.execute(TABLE)
            for sql in SLOW_WRITER:
                async with store.as_owner() as owner:
                    await owner.fetch(sql)
            await trio.to_thread.run_sync(server.restart)
            await _reached(store)
            await append(store, 1, synchronous=True)
            await append(store, 2, synchronous=False)
            behind = await store.fetch_value(WRITTEN)
            assert not await store.fetch_value(FLUSHED, behind)
            await append(store, 3, synchronous=True)
            assert await store.fetch_value(FLUSHED, behind)
            twice = (Write(FIXED, ("m", 3, 33)), Write(FIXED, ("m", 33, 3)))
            await store.append([twice, (Write(INSERT, ("m", 4)),)], synchronous=False)
            behind = await store.fetch_value(WRITTEN)
            assert not await store.fetch_value(FLUSHED, behind)
            await trio.to_thread.run_sync(server.kill)
            await trio.to_thread.run_sync(server.start)
            await _reached(store)
            assert await numbers(store) == [1, 2, 3]
        await store.close()


async def _reached(store: PostgresDatabase) -> None:
    with trio.fail_after(60):
        while True:
            try:
                await store.fetch_value("SELECT 1")
            except (StorageUnavailable, CommitUnknown):
                await trio.sleep(0.05)
            else:
                return
