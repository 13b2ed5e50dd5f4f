"""The database through its pipeline, on a store that fails as told."""

from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any

import attrs
import pytest
import trio

from runtime.context import request_context
from runtime.policies import ForcedState, Pipeline, PipelineSpec
from runtime.storage import (
    CommitUnknown,
    ConstraintViolation,
    Database,
    DatabaseHandle,
    StorageError,
    StorageFull,
    StorageUnavailable,
    open_database,
)
from runtime.storage.deadlines import patient
from runtime.storage.errors import (
    ConnectionLost,
    DatabaseAway,
    StorageRejected,
    TakenOver,
    TransactionUndone,
)
from runtime.storage.policies import DATABASE
from runtime.trouble import Told
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)


@attrs.define(eq=False)
class Failing:
    """Fails with what is told, one error a call, and takes `takes_s`."""

    _database: Database
    errors: list[Exception] = attrs.field(factory=list)
    takes_s: float = 0.0
    calls: int = 0

    async def _before(self) -> None:
        self.calls += 1
        await trio.sleep(self.takes_s)
        if self.errors:
            raise self.errors.pop(0)

    async def fetch_value(self, sql: str, *values: Any) -> Any:
        await self._before()
        return await self._database.fetch_value(sql, *values)

    async def execute(self, sql: str, *values: Any) -> Any:
        await self._before()
        return await self._database.execute(sql, *values)

    async def append(self, entries: Sequence[Any], *, synchronous: bool = True) -> None:
        await self._before()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


@pytest.fixture
async def store() -> Any:
    return Failing(await open_database("sqlite:///:memory:"))


@pytest.fixture
def handle(store: Any) -> DatabaseHandle:
    handle = DatabaseHandle()
    handle.attach(store)
    return handle


def reads(handle: DatabaseHandle) -> Awaitable[Any]:
    return handle.fetch_value("SELECT 1")


def writes(handle: DatabaseHandle) -> Awaitable[Any]:
    return handle.execute("SELECT 1")


def appends(handle: DatabaseHandle) -> Awaitable[Any]:
    return handle.append([])


Use = Callable[[DatabaseHandle], Awaitable[Any]]


@pytest.mark.parametrize("use", [reads, writes, appends])
async def test_what_the_database_undid_is_done_again(
    handle: DatabaseHandle, store: Failing, use: Use
) -> None:
    """Clause P11."""
    store.errors = [TransactionUndone("deadlock"), TransactionUndone("deadlock")]
    await use(handle)
    assert store.calls == 3


@pytest.mark.parametrize(
    ("use", "calls"), [(reads, 2), (writes, 1), (appends, 1)], ids=["reads", "writes", "appends"]
)
async def test_only_reads_are_done_again_after_a_lost_connection(
    handle: DatabaseHandle, store: Failing, use: Use, calls: int
) -> None:
    """Clause P11."""
    store.errors = [ConnectionLost("reset")]
    try:
        await use(handle)
    except ConnectionLost:
        assert use is not reads
    assert store.calls == calls


@pytest.mark.parametrize(
    "error",
    [
        StorageUnavailable("no memory"),
        DatabaseAway("refused"),
        CommitUnknown("lost"),
        ConstraintViolation("twice"),
        StorageFull("full"),
        StorageError("no such column"),
        TakenOver("another process"),
    ],
)
async def test_nothing_else_is_done_again(
    handle: DatabaseHandle, store: Failing, error: Exception
) -> None:
    store.errors = [error]
    with pytest.raises(type(error)) as raised:
        await reads(handle)
    assert raised.value is error
    assert store.calls == 1


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (StorageUnavailable("no memory"), True),
        (CommitUnknown("lost"), True),
        (ConstraintViolation("twice"), False),
        (StorageFull("full"), False),
        (StorageError("no such column"), False),
        (TakenOver("another process"), False),
    ],
)
async def test_what_the_database_answers_does_not_open_its_breaker(
    handle: DatabaseHandle, store: Failing, error: StorageError, counts: bool
) -> None:
    store.errors = [error] * 20
    for _ in range(20):
        with pytest.raises(type(error)):
            await writes(handle)
    if not counts:
        await reads(handle)
        return
    with pytest.raises(StorageRejected, match="it failed too often") as rejected:
        await reads(handle)
    assert isinstance(rejected.value, Told)
    assert rejected.value.retry_after_s == pytest.approx(1, rel=0.2)
    assert store.calls == 20


async def test_a_store_that_is_away_for_a_minute_is_used_within_ten_seconds_of_its_return(
    handle: DatabaseHandle, store: Failing
) -> None:
    """Clause P11."""
    away_until = trio.current_time() + 60
    while trio.current_time() < away_until:
        store.errors = [DatabaseAway("refused")]
        with pytest.raises(StorageUnavailable):
            await reads(handle)
        await trio.sleep(0.1)
    store.errors = []
    back_at = trio.current_time()
    served = 0
    while served < 5:
        try:
            await reads(handle)
            served += 1
        except StorageUnavailable:
            await trio.sleep(0.1)
    assert trio.current_time() - back_at < 10
    assert store.calls < 20 + 60


async def test_a_query_that_takes_too_long_is_unavailable_at_its_deadline(
    handle: DatabaseHandle, store: Failing
) -> None:
    """Clause P11."""
    store.takes_s = 60
    started = trio.current_time()
    with pytest.raises(StorageUnavailable, match="took too long"):
        await reads(handle)
    assert trio.current_time() - started == pytest.approx(1)
    with (
        request_context(deadline=trio.current_time() + 0.2),
        pytest.raises(StorageUnavailable, match="took too long"),
    ):
        await reads(handle)
    assert trio.current_time() - started == pytest.approx(1.2)


async def test_of_a_write_that_takes_too_long_nobody_knows_what_became(
    handle: DatabaseHandle, store: Failing
) -> None:
    """Clause P11."""
    store.takes_s = 60
    started = trio.current_time()
    with pytest.raises(CommitUnknown, match="took too long"):
        await writes(handle)
    assert trio.current_time() - started == pytest.approx(3)


async def test_the_patient_may_wait_longer(handle: DatabaseHandle, store: Failing) -> None:
    store.takes_s = 30
    with patient(60):
        assert await reads(handle) == 1
        store.takes_s = 61
        with pytest.raises(StorageUnavailable):
            await reads(handle)


async def test_a_share_has_half_of_the_connections_and_the_journal_one_of_its_own(
    handle: DatabaseHandle, store: Failing
) -> None:
    """Clause P11."""
    handle.bulkhead.resize(4)
    store.takes_s = 0.4
    points, core = handle.share("points"), handle.share("core")
    assert points.concurrency == 2

    async def read() -> None:
        await points.fetch_value("SELECT 1")

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(read)
        await trio.sleep(0.1)
        statistics = points.statistics()
        assert (statistics.in_use, statistics.waiting, statistics.limit) == (2, 2, 2)
        started = trio.current_time()
        await core.fetch_value("SELECT 1")
        await handle.append([])
        assert trio.current_time() - started == pytest.approx(0.8)


async def test_without_a_store_nothing_is_counted_against_it(handle: DatabaseHandle) -> None:
    handle.detach()
    for _ in range(50):
        with pytest.raises(StorageUnavailable, match="not open"):
            await reads(handle)
    assert handle.pipeline.breaker is not None
    assert handle.pipeline.breaker.statistics().calls == 0


async def test_forced_open_nothing_reaches_the_store(
    handle: DatabaseHandle, store: Failing
) -> None:
    assert handle.pipeline.breaker is not None
    handle.pipeline.breaker.force(ForcedState.OPEN)
    for use in (reads, writes, appends):
        with pytest.raises(StorageRejected, match="switched off"):
            await use(handle)
    assert store.calls == 0


async def test_a_pipeline_without_a_bulkhead_is_none_for_a_database() -> None:
    spec = attrs.evolve(DATABASE, bulkhead=None)
    with pytest.raises(ValueError, match="needs a bulkhead"):
        DatabaseHandle(Pipeline("database", spec, Random(1)))
    assert PipelineSpec().bulkhead is not None
