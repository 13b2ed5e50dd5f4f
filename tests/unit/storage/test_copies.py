"""Copies of a schema in memory: each begins as the first did, and statements stay compiled."""

from sqlite3 import Connection

import pytest

from runtime.storage import RUNTIME_MIGRATIONS, ConstraintViolation
from runtime.storage.sqlite import open_sqlite_memory
from runtime.storage.sqlite_templates import Copy, Schema

SCHEMA = Schema((RUNTIME_MIGRATIONS,), ("CREATE TABLE seen (number BIGINT PRIMARY KEY)",))
INSERT = "INSERT INTO seen (number) VALUES ($1)"
COUNT = "SELECT count(*) FROM seen"


def content(connection: Connection) -> list[str]:
    return list(connection.iterdump())


async def test_what_is_given_back_begins_anew_for_the_next() -> None:
    first = Copy(SCHEMA)
    before = content(first.connection)
    database = open_sqlite_memory(first.connection, yields=False)
    await database.execute(INSERT, 1)
    with pytest.raises(ConstraintViolation):
        await database.transact([(INSERT, (2,)), (INSERT, (1,))])
    assert await database.fetch_value(COUNT) == 1
    first.give_back()
    second = Copy(SCHEMA)
    assert second.connection is first.connection
    assert content(second.connection) == before
    second.give_back()


async def test_two_at_a_time_do_not_share() -> None:
    one, other = Copy(SCHEMA), Copy(SCHEMA)
    await open_sqlite_memory(one.connection, yields=False).execute(INSERT, 1)
    assert await open_sqlite_memory(other.connection, yields=False).fetch_value(COUNT) == 0
    one.give_back()
    other.give_back()


def test_one_whose_schema_was_changed_is_not_used_again() -> None:
    changed = Copy(SCHEMA)
    changed.connection.execute("CREATE TABLE more (number BIGINT)")
    changed.give_back()
    after = Copy(SCHEMA)
    assert after.connection is not changed.connection
    after.give_back()
