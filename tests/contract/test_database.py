"""What every database adapter must do: the contract of `runtime.storage.port`."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from random import Random
from typing import Any

import attrs
import pytest
import trio

from runtime import host
from runtime.policies import NoDeadline
from runtime.storage import (
    RUNTIME_MIGRATIONS,
    AcrossMerchants,
    ConstraintViolation,
    Database,
    Dialect,
    Packed,
    Statement,
    StorageError,
    Superseded,
    Write,
    migrate,
    open_database,
    unpacked,
)

TABLE = (
    "CREATE TABLE things (merchant_id TEXT NOT NULL, id BIGINT NOT NULL, at TIMESTAMPTZ,"
    " data JSONB, flag BOOLEAN, parent BIGINT, PRIMARY KEY (merchant_id, id),"
    " FOREIGN KEY (merchant_id, parent) REFERENCES things (merchant_id, id))"
)
INSERT = Statement(
    "things.insert",
    "INSERT INTO things (merchant_id, id, at, data, flag, parent) VALUES ($1, $2, $3, $4, $5, $6)",
    10,
)
TOUCH = Statement(
    "things.touch", "UPDATE things SET flag = $3 WHERE merchant_id = $1 AND id = $2", 20
)

pytestmark = pytest.mark.trio(run=host.run)
EXACT_TOUCH = Statement("things.exact", TOUCH.sql, 30, exact=True)
PATIENCE_S = 60.0
MOMENT = datetime(2026, 2, 14, 9, 30, 0, 123456, tzinfo=UTC)


def thing(id_: int, parent: int | None = None) -> Write:
    return Write(INSERT, ("m", id_, MOMENT, {"n": id_}, True, parent))


@pytest.fixture
async def things(database: Database) -> Database:
    await database.execute(TABLE)
    return database


async def ids(database: Database) -> list[int]:
    return [row["id"] for row in await database.fetch("SELECT id FROM things ORDER BY id")]


async def test_values_come_back_as_they_went_in(things: Database) -> None:
    data = {"text": "flöwer", "list": [1, None, True], "deep": {"x": 1.5}}
    await things.execute(INSERT.sql, "m", 1, MOMENT, data, False, None)
    row = await things.fetch_row("SELECT at, data, flag, parent FROM things")
    assert row is not None
    assert tuple(row) == (MOMENT, data, False, None)
    assert row["at"] == row[0]
    assert len(row) == 4


async def test_times_are_kept_in_utc_and_sort_as_times(things: Database) -> None:
    east = timezone(timedelta(hours=5))
    await things.execute(INSERT.sql, "m", 1, MOMENT.astimezone(east), None, None, None)
    await things.execute(INSERT.sql, "m", 2, MOMENT + timedelta(microseconds=1), None, None, None)
    await things.execute(INSERT.sql, "m", 3, MOMENT.replace(microsecond=0), None, None, None)
    rows = await things.fetch("SELECT id, at FROM things ORDER BY at")
    assert [row["id"] for row in rows] == [3, 1, 2]
    assert rows[1]["at"] == MOMENT
    assert await things.fetch_value("SELECT id FROM things WHERE at > $1", MOMENT) == 2


async def test_a_time_without_a_zone_is_refused(things: Database) -> None:
    with pytest.raises((StorageError, ValueError)):
        await things.execute(INSERT.sql, "m", 1, MOMENT.replace(tzinfo=None), None, None, None)
    assert await ids(things) == []


async def test_a_dollar_in_a_literal_is_not_a_parameter(database: Database) -> None:
    assert await database.fetch_value("SELECT 'it''s $1' || $1", "!") == "it's $1!"


async def test_a_parameter_may_be_used_twice(database: Database) -> None:
    row = await database.fetch_row(
        "SELECT CAST($2 AS BIGINT), CAST($1 AS BIGINT), CAST($2 AS BIGINT)", 1, 2
    )
    assert row is not None
    assert tuple(row) == (2, 1, 2)


async def test_nothing_found_is_none_or_empty(things: Database) -> None:
    assert await things.fetch("SELECT id FROM things") == []
    assert await things.fetch_row("SELECT id FROM things") is None
    assert await things.fetch_value("SELECT id FROM things") is None


async def test_an_append_writes_all_entries_with_parents_before_children(things: Database) -> None:
    await things.append([(Write(TOUCH, ("m", 2, False)), thing(1)), (thing(2, parent=1),)])
    assert await ids(things) == [1, 2]
    assert await things.fetch_value("SELECT flag FROM things WHERE id = 2") is False


async def test_an_append_that_is_not_synchronous_is_one_all_the_same(things: Database) -> None:
    await things.append([(thing(1), thing(2))], synchronous=False)
    assert await ids(things) == [1, 2]
    with pytest.raises(ConstraintViolation):
        await things.append([(thing(3),), (thing(1),)], synchronous=False)
    nothing = Write(EXACT_TOUCH, ("m", 9, False))
    with pytest.raises(Superseded):
        await things.append([(thing(3), nothing)], synchronous=False)
    again = [Write(TOUCH, ("m", 1, value)) for value in (False, True)]
    await things.append([(thing(3, parent=1), *again)], synchronous=False)
    await things.append([(thing(4),)])
    assert await ids(things) == [1, 2, 3, 4]


async def test_packed_rows_are_written_as_if_they_were_not_packed(things: Database) -> None:
    late = attrs.evolve(INSERT, name="things.late", rank=15)
    child = Write(late, ("m", 4, MOMENT, {"n": [4, None]}, False, 3))
    plain = (thing(1), child, thing(2), thing(3))
    packed = (thing(1), Packed.of(late, [child.row]), Packed.of(INSERT, rows_of(2, 3)))
    assert unpacked(packed) == (thing(1), child, thing(2), thing(3))
    await things.append([packed], synchronous=False)
    written = [tuple(row) for row in await things.fetch("SELECT * FROM things ORDER BY id")]
    assert sorted(written) == sorted(write.row for write in plain)
    with pytest.raises(ConstraintViolation):
        await things.append([(thing(5), Packed.of(INSERT, rows_of(6, 1)))])
    with pytest.raises(Superseded):
        await things.append([(thing(5), Packed.of(EXACT_TOUCH, [("m", 99, True)]))])
    for junk in (b"\xc1", b"\x91\x01", packed[1].packed[:-1]):
        with pytest.raises(ConstraintViolation):
            await things.append([(thing(5),), (Packed(INSERT, junk),)])
    await things.append([(Packed.of(INSERT, []),)])
    assert await ids(things) == [1, 2, 3, 4]


def rows_of(*numbers: int) -> list[tuple[Any, ...]]:
    return [thing(number).row for number in numbers]


async def test_one_broken_constraint_undoes_the_whole_append(things: Database) -> None:
    await things.append([(thing(1),)])
    with pytest.raises(ConstraintViolation):
        await things.append([(thing(2),), (thing(1),), (thing(3),)])
    with pytest.raises(ConstraintViolation):
        await things.append([(thing(4, parent=99),)])
    assert await ids(things) == [1]
    await things.append([(thing(2),)])
    assert await ids(things) == [1, 2]


async def test_a_failed_statement_undoes_its_transaction(things: Database) -> None:
    with pytest.raises(StorageError):
        await things.transact([(INSERT.sql, thing(1).row), ("INSERT INTO nowhere VALUES (1)", ())])
    assert await ids(things) == []
    await things.transact([(INSERT.sql, thing(1).row), (INSERT.sql, thing(2).row)])
    assert await ids(things) == [1, 2]


async def test_queries_of_one_fetch_many_see_one_snapshot(things: Database) -> None:
    count = ("SELECT count(*) FROM things", ())
    results: list[tuple[int, int]] = []

    async def read() -> None:
        for _ in range(50):
            first, *_, last = await things.fetch_many([count] * 4)
            results.append((first[0][0], last[0][0]))

    async def write() -> None:
        for number in range(50):
            await things.append([(thing(number),)])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        nursery.start_soon(write)
    assert len(results) == 50
    assert all(first == last for first, last in results)


async def test_execute_gives_back_what_a_statement_returns(things: Database) -> None:
    await things.append([(thing(1), thing(2))])
    rows = await things.execute("UPDATE things SET flag = $1 WHERE id > $2 RETURNING id", False, 1)
    assert [tuple(row) for row in rows] == [(2,)]
    assert await things.execute("DELETE FROM things WHERE id = $1", 1) == []
    assert await ids(things) == [2]


async def test_an_exact_statement_that_finds_no_row_undoes_everything(things: Database) -> None:
    await things.append([(thing(1),)])
    gone = Write(EXACT_TOUCH, ("m", 9, False))
    with pytest.raises(Superseded) as caught:
        await things.append([(thing(2), Write(EXACT_TOUCH, ("m", 1, False)), gone)])
    assert caught.value.statement == EXACT_TOUCH.name
    assert await ids(things) == [1]
    assert await things.fetch_value("SELECT flag FROM things") is True
    await things.append([(thing(2), Write(EXACT_TOUCH, ("m", 1, False)))])
    assert await ids(things) == [1, 2]


async def test_notices_reach_those_who_listen_to_their_channel(database: Database) -> None:
    async with database.listen("news") as news, database.listen("other") as other:
        await database.notify("news", "first")
        await database.notify("news", "second")
        await database.notify("other", "third")
        with trio.fail_after(PATIENCE_S):
            assert [await news.receive(), await news.receive()] == ["first", "second"]
            assert await other.receive() == "third"
    await database.notify("news", "nobody")


async def test_writers_at_the_same_time_lose_nothing(things: Database) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(40):
            nursery.start_soon(things.append, [(thing(number),)])
    assert await ids(things) == list(range(40))


async def test_a_write_that_has_begun_is_finished_although_cancelled(things: Database) -> None:
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(things.append, [(thing(number),) for number in range(2_000)])
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()
            scope.cancel()
    assert len(await ids(things)) in (0, 2_000)


async def test_a_closed_store_says_so_and_closes_twice(database: Database) -> None:
    await database.close()
    await database.close()
    for use in (partial(database.fetch, "SELECT 1"), partial(database.append, [])):
        with pytest.raises(StorageError, match="closed"):
            await use()


async def test_migrating_again_changes_nothing(database: Database) -> None:
    before = await database.fetch("SELECT * FROM schema_migrations")
    assert await migrate(database, [RUNTIME_MIGRATIONS], MOMENT) == []
    assert await database.fetch("SELECT * FROM schema_migrations") == before


async def test_a_value_that_cannot_be_kept_is_the_fault_of_its_row(things: Database) -> None:
    far = datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))
    for value in (2**63, far, "\ud800"):
        with pytest.raises(ConstraintViolation):
            await things.append([(Write(INSERT, (value, *thing(1).row[1:])),)])
    await things.append([(thing(1),)])


async def test_a_row_is_kept_whatever_its_size_or_is_to_blame_itself(things: Database) -> None:
    """PostgreSQL has no index entries above a third of a page; SQLite has them of any size."""
    long = "".join(map(str, Random(1).choices(range(10), k=20_000)))
    entry = (Write(INSERT, (long, *thing(1).row[1:])),)
    if things.dialect is Dialect.SQLITE:
        await things.append([entry])
    else:
        with pytest.raises(ConstraintViolation):
            await things.append([entry])
    await things.append([(thing(1),)])


async def test_one_append_may_write_the_same_row_again_and_again(things: Database) -> None:
    put = Statement(
        "things.put",
        "INSERT INTO things (merchant_id, id, data, at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (merchant_id, id) DO UPDATE SET data = excluded.data",
        11,
    )
    rename = Statement(
        "things.rename",
        "UPDATE things SET id = id + $3 WHERE merchant_id = $1 AND id = $2",
        12,
        exact=True,
    )
    puts = [Write(put, ("m", number % 3, [number], MOMENT)) for number in range(9)]
    renames = [Write(rename, ("m", number, 10)) for number in (0, 10, 20, 1)]
    await things.append([(write,) for write in (*puts, *renames)])
    rows = await things.fetch("SELECT id, data FROM things ORDER BY id")
    assert [tuple(row) for row in rows] == [(2, [8]), (11, [7]), (30, [6])]


async def test_texts_of_one_append_may_hold_anything(things: Database) -> None:
    names = ["", "a,b", "it's", "NULL", "\\N", "\x1f", "a\x1eb", "{}", '"', "\n", "ü"]
    await things.append([(Write(INSERT, (name, 1, None, [name], None, None)),) for name in names])
    rows = await things.fetch(AcrossMerchants("SELECT merchant_id, data FROM things"))
    assert sorted((row[0], row[1][0]) for row in rows) == sorted(zip(names, names, strict=True))


async def test_what_is_nothing_in_some_rows_or_in_all_of_them_stays_so(things: Database) -> None:
    rows = [("m", 1, None, None, True, None), ("m", 2, None, [2], None, None)]
    await things.append([(Write(INSERT, row),) for row in rows])
    found = await things.fetch("SELECT * FROM things ORDER BY id")
    assert [tuple(row) for row in found] == rows


async def test_a_call_that_goes_past_the_pipeline_without_a_deadline_is_found(
    database_url: str,
) -> None:
    """Clause P1."""
    database = await open_database(database_url, role=None)
    entry = (Write(INSERT, ("m", 1)),)
    calls: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: database.fetch("SELECT 1"),
        lambda: database.fetch_row("SELECT 1"),
        lambda: database.fetch_value("SELECT 1"),
        lambda: database.fetch_many([("SELECT 1", ())]),
        lambda: database.execute("SELECT 1"),
        lambda: database.transact([("SELECT 1", ())]),
        lambda: database.append([entry]),
    )
    for call in calls:
        with pytest.raises(NoDeadline):
            await call()
    await database.close()
