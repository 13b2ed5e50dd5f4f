"""The embedded database as a file: who may use it, and what goes wrong with disks."""

import gc
import os
import resource
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest
import trio

from runtime.storage import (
    RUNTIME_MIGRATIONS,
    Statement,
    StorageError,
    StorageFull,
    StorageLocked,
    Write,
    migrate,
    open_database,
    sqlite_checkpoints,
)
from runtime.storage.outbox import SELECT_BACKLOG, outbox_write
from tests.stores import unhurried

pytestmark = pytest.mark.slow

NOW = datetime(2026, 1, 1, tzinfo=UTC)

HOLDER = """
import sys, trio
from runtime.storage import open_database

async def main():
    database = await open_database(sys.argv[1])
    await database.announce("http://127.0.0.1:9", "me")
    print("open", flush=True)
    await trio.sleep_forever()

trio.run(main)
"""


async def test_a_second_process_is_told_who_has_the_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    command = [sys.executable, "-c", HOLDER, url]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: ASYNC220 - at once
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(StorageLocked) as refused:
            await open_database(url)
        assert refused.value.pid == holder.pid
        assert refused.value.address == "http://127.0.0.1:9"
        assert f"process {holder.pid}" in str(refused.value)
    finally:
        holder.kill()
        holder.communicate()
    await (await open_database(url)).close()


async def test_a_cancelled_query_ends_early_and_the_store_goes_on(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/store.db")
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT sum(x) FROM n"
    with unhurried():
        with trio.move_on_after(0.05) as scope:
            await database.fetch_value(endless)
        assert scope.cancelled_caught
        assert await database.fetch_value("SELECT 1") == 1
    await database.close()


async def test_more_readers_than_connections_wait_for_their_turn(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/store.db")
    found: list[int] = []

    async def read(number: int) -> None:
        found.append(await database.fetch_value("SELECT $1", number))

    with unhurried():
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(read, number)
    assert sorted(found) == list(range(50))
    await database.close()


@attrs.frozen
class Forgetful:
    """A value that lets go of an error in the middle of the statement it is written with."""

    held: list[BaseException]

    def __conform__(self, _protocol: object) -> str:
        self.held.clear()
        gc.collect()
        return "kept"


async def test_the_end_of_an_error_disturbs_no_later_statement(tmp_path: Path) -> None:
    """The `sqlite3` of Python 3.11 resets a statement when an old cursor of it goes away."""
    database = await open_database(f"sqlite:///{tmp_path}/store.db")
    put = Statement("put", "INSERT INTO things VALUES ($1, $2)", rank=1, shared=True)
    fail = Statement("fail", "INSERT INTO things VALUES (1, $1)", rank=2, shared=True)
    held: list[BaseException] = []
    with unhurried():
        await database.execute("CREATE TABLE things (id BIGINT PRIMARY KEY, text TEXT)")
        try:
            await database.append([(Write(put, (1, "undone")), Write(fail, ("twice",)))])
        except StorageError as error:
            held.append(error)
        assert held
        await database.append([(Write(put, (1, Forgetful(held))),), (Write(put, (2, "kept")),)])
        assert not held
        assert await database.fetch_value("SELECT count(*) FROM things WHERE text = 'kept'") == 2
    await database.close()


async def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/new/folder/store.db")
    await database.close()
    assert (tmp_path / "new/folder/store.db").exists()


@pytest.mark.parametrize("place", ["file/store.db", "folder"])
async def test_an_impossible_place_is_one_clear_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError) as refused:
        await open_database(f"sqlite:///{tmp_path}/{place}")
    assert str(tmp_path / place) in str(refused.value)
    assert "\n" not in str(refused.value)


async def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, " * 100)
    with pytest.raises(StorageError, match="not a database"):
        await open_database(f"sqlite:///{path}")
    assert path.read_text().startswith("Dear reader")


async def test_a_url_of_another_kind_is_refused() -> None:
    for url in ("mysql://localhost/x", "sqlite://host/x", "sqlite:///", "nonsense"):
        with pytest.raises(StorageError, match="sqlite:///path"):
            await open_database(url)


FILL = """
import resource, sys, trio
from tests.integration.storage.test_sqlite_file import fill

resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
trio.run(fill, sys.argv[1])
"""


async def fill(url: str) -> None:
    """Append until there is no room, then show that the store still answers."""
    database = await open_database(url)
    await migrate(database, [RUNTIME_MIGRATIONS], NOW)
    written = 0
    try:
        for number in range(1_000):
            await database.append([(_event(number),)])
            written += 1
    except StorageError as error:
        full = isinstance(error, StorageFull) or "I/O" in str(error)
        sys.stdout.write("full\n" if full else repr(error))
    sys.stdout.write(f"{await database.fetch_value(SELECT_BACKLOG) == written}\n")


def _event(number: int) -> Write:
    return outbox_write(
        merchant_id="m",
        event_id=f"{number:06}",
        topic="t",
        key="k",
        payload={"filler": os.urandom(8_000).hex()},
        created_at=NOW,
    )


def test_without_room_an_append_fails_and_what_was_written_stays(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FILL, f"sqlite:///{tmp_path}/store.db"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        check=False,
    )
    assert done.stdout == "full\nTrue\n", done.stderr


def size_of(path: Path) -> int:
    """Bytes; 0 where there is no such file."""
    return path.stat().st_size if path.exists() else 0


@pytest.mark.parametrize("rows", [2_000, 20_000])
async def test_the_log_gets_into_the_file_beside_the_writes(
    tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long one begins anew, and keeps its length: cutting it would hold up who writes."""
    monkeypatch.setattr(sqlite_checkpoints, "CHECKPOINT_ROWS", 2_000)
    monkeypatch.setattr(sqlite_checkpoints, "LONG_PAGES", 1_500)
    path = tmp_path / "store.db"
    database = await open_database(f"sqlite:///{path}")
    fill = Statement("t.fill", "INSERT INTO t (n, text) VALUES ($1, $2)", 1)
    text, longest = "x" * 2_000, 0
    with unhurried():
        await database.execute("CREATE TABLE t (n BIGINT NOT NULL PRIMARY KEY, text TEXT NOT NULL)")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(database.attend)
            for first in range(0, rows, 500):
                some = range(first, first + 500)
                await database.append([tuple(Write(fill, (number, text)) for number in some)])
                longest = max(longest, size_of(tmp_path / "store.db-wal"))
            with trio.fail_after(60):
                while size_of(path) < 1_000 * len(text):  # noqa: ASYNC110
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
        log = size_of(tmp_path / "store.db-wal")
        assert await database.fetch_value("SELECT count(*) FROM t") == rows
    await database.close()
    assert log == longest < 20_000 * len(text) / 2
    assert not size_of(tmp_path / "store.db-wal")


async def test_a_log_that_cannot_be_worked_off_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[int] = []
    worked = trio.Event()

    def checkpoint(_connection: object) -> int:
        rounds.append(len(rounds))
        if len(rounds) < 3:
            raise sqlite3.OperationalError("the disk is full (a test)")
        trio.from_thread.run_sync(worked.set)
        return 1

    monkeypatch.setattr(sqlite_checkpoints, "AGAIN_S", 0.0)
    monkeypatch.setattr(sqlite_checkpoints, "CHECKPOINT_ROWS", 1)
    monkeypatch.setattr(sqlite_checkpoints, "_checkpoint", checkpoint)
    database = await open_database(f"sqlite:///{tmp_path}/store.db")
    with unhurried():
        await migrate(database, [RUNTIME_MIGRATIONS], NOW)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(database.attend)
        with trio.fail_after(60):
            await worked.wait()
        nursery.cancel_scope.cancel()
    await database.close()
    assert rounds == [0, 1, 2]
