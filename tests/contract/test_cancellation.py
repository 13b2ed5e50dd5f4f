"""Every operation of a store is a checkpoint and can be cancelled at any moment, in each layer.

The layers are the adapter, the handle that domains hold, with the measuring that is between them,
and a domain's share of it.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager

import pytest
import trio
from prometheus_client import CollectorRegistry
from trio.testing import assert_checkpoints

from runtime import host, request_context
from runtime.storage import Database, DatabaseHandle, Statement, Write
from runtime.storage.measured import MeasuredDatabase
from runtime.storage.metrics import DatabaseMetrics
from tests.stores import patient_pipeline

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

LAYERS = ("adapter", "handle", "share")
MOMENTS = 12
"""Checkpoints after which an operation is cancelled; most need fewer."""

PATIENCE_S = 30.0
CREATE = (
    "CREATE TABLE marks (merchant_id TEXT NOT NULL, id BIGINT NOT NULL,"
    " PRIMARY KEY (merchant_id, id))"
)
MARK = Statement("marks.insert", "INSERT INTO marks (merchant_id, id) VALUES ($1, $2)", 10)
SELECT = "SELECT id FROM marks WHERE merchant_id = $1 ORDER BY id"


def mark(number: int) -> Write:
    return Write(MARK, ("m", number))


Operation = Callable[[Database, int], Awaitable[object]]

READS: dict[str, Operation] = {
    "fetch": lambda store, _: store.fetch(SELECT, "m"),
    "fetch_row": lambda store, _: store.fetch_row(SELECT, "m"),
    "fetch_value": lambda store, _: store.fetch_value(SELECT, "m"),
    "fetch_many": lambda store, _: store.fetch_many([(SELECT, ("m",)), (SELECT, ("n",))]),
    "notify": lambda store, _: store.notify("channel", "payload"),
    "announced": lambda store, _: store.announced(),
}

WRITES: dict[str, Operation] = {
    "execute": lambda store, n: store.execute(
        "INSERT INTO marks (merchant_id, id) VALUES ($1, $2), ($1, $3)", "m", n, n + 1
    ),
    "transact": lambda store, n: store.transact([(MARK.sql, ("m", n)), (MARK.sql, ("m", n + 1))]),
    "append": lambda store, n: store.append([(mark(n),), (mark(n + 1),)]),
}
"""Each writes two marks, both or none."""

OPERATIONS: dict[str, Operation] = {
    **READS,
    **WRITES,
    "announce": lambda store, _: store.announce(None, "nobody"),
}


@pytest.fixture(params=LAYERS)
async def store(request: pytest.FixtureRequest, database: Database) -> Database:
    """Each layer on each store, with a table of marks. Everybody has a deadline in here."""
    handle = DatabaseHandle(patient_pipeline())
    handle.attach(MeasuredDatabase(database, DatabaseMetrics(CollectorRegistry())))
    layers: dict[str, Database] = {
        "adapter": database,
        "handle": handle,
        "share": handle.share("tests"),
    }
    with _deadline():
        await database.execute(CREATE)
    return layers[request.param]


async def marks(store: Database) -> list[int]:
    with _deadline():
        return [row[0] for row in await store.fetch(SELECT, "m")]


def _deadline() -> AbstractContextManager[object]:
    return request_context(deadline=trio.current_time() + PATIENCE_S)


async def _is_whole(store: Database) -> None:
    """All connections work, several at a time."""
    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(marks, store)


async def test_every_operation_is_a_checkpoint(store: Database) -> None:
    for number, operation in enumerate(OPERATIONS.values()):
        with _deadline():
            await operation(store, 10 * number)
            with assert_checkpoints():
                await operation(store, 10 * number + 2)


async def test_in_a_scope_that_is_cancelled_already_nothing_happens(store: Database) -> None:
    for name, operation in OPERATIONS.items():
        with _deadline(), trio.CancelScope() as scope:
            scope.cancel()
            await operation(store, 0)
        assert scope.cancelled_caught, name
    assert await marks(store) == []


async def test_cancelled_at_any_moment_it_leaves_the_store_whole(store: Database) -> None:
    """And what it wrote was written as a whole, or not at all."""
    for number, operation in enumerate(OPERATIONS.values()):
        for moment in range(MOMENTS):
            await _cancelled_after(moment, operation, store, 1_000 * number + 2 * moment)
        await _is_whole(store)
    found = await marks(store)
    assert found
    assert all((number ^ 1) in found for number in found)


async def _cancelled_after(
    checkpoints: int, operation: Operation, store: Database, number: int
) -> None:
    with _deadline():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(operation, store, number)
            for _ in range(checkpoints):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()


async def test_a_write_may_be_repeated_after_one_that_was_cancelled(store: Database) -> None:
    """It happened or not; looking tells."""
    append = WRITES["append"]
    for moment in range(MOMENTS):
        await _cancelled_after(moment, append, store, 2 * moment)
        if 2 * moment not in await marks(store):
            with _deadline():
                await append(store, 2 * moment)
    assert await marks(store) == list(range(2 * MOMENTS))


async def test_the_table_has_every_operation_of_the_port() -> None:
    """But for those that last as long as the store does, or end it."""
    lasting = {"attend", "close", "as_owner", "listen"}
    properties = {"dialect", "concurrency"}
    public = {name for name in vars(Database) if not name.startswith("_")}
    assert public - lasting - properties == OPERATIONS.keys()
