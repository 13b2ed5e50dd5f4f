"""The handle: single flight, what is done while the cache is away, and what is counted."""

from collections.abc import Awaitable, Callable
from random import Random

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from runtime.cache import (
    CLOSED,
    STREAM_START,
    Away,
    CacheHandle,
    CacheRefused,
    CacheUnavailable,
    Limit,
    Missed,
    Notice,
    Presence,
    Verdict,
)
from runtime.cache.memory import MemoryCache
from runtime.telemetry import Metrics
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

TTL_S = 5.0
TEN_A_MINUTE = Limit(10, 60.0, 10)


class Source:
    """Loads slowly, and counts how often."""

    def __init__(self, error: Exception | None = None) -> None:
        self.loads = 0
        self.cancelled = 0
        self.error = error

    async def __call__(self) -> bytes:
        self.loads += 1
        number = self.loads
        try:
            await trio.sleep(1)
        except trio.Cancelled:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return b"load %d" % number


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def cache(metrics: Metrics) -> CacheHandle:
    handle = CacheHandle()
    handle.attach(MemoryCache(Random(1)), metrics)
    return handle


@pytest.fixture
def away(metrics: Metrics) -> CacheHandle:
    return CacheHandle(metrics=metrics)


async def test_a_thousand_misses_at_the_same_time_cause_one_load(cache: CacheHandle) -> None:
    """Clause C3."""
    source, values = Source(), []

    async def ask() -> None:
        values.append(await cache.load("k", TTL_S, source))

    async with trio.open_nursery() as nursery:
        for _ in range(1_000):
            nursery.start_soon(ask)
    assert values == [b"load 1"] * 1_000
    assert source.loads == 1
    assert await cache.load("k", TTL_S, source) == b"load 1"
    await trio.sleep(TTL_S)
    assert await cache.load("k", TTL_S, source) == b"load 2"


async def test_a_waiter_that_gives_up_does_not_disturb_the_others(cache: CacheHandle) -> None:
    """Clause C3: not even the one that caused the load."""
    source, values = Source(), []

    async def ask(timeout_s: float) -> None:
        with trio.move_on_after(timeout_s):
            values.append(await cache.load("k", TTL_S, source))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, 0.5)
        await wait_all_tasks_blocked()
        nursery.start_soon(ask, 10)
        nursery.start_soon(ask, 0.7)
    assert values == [b"load 1"]
    assert (source.loads, source.cancelled) == (1, 0)


async def test_the_load_is_cancelled_when_the_last_waiter_goes(cache: CacheHandle) -> None:
    """Clause C3."""
    source = Source()
    async with trio.open_nursery() as nursery:
        for timeout_s in (0.2, 0.4):
            nursery.start_soon(cancelled_after, timeout_s, cache, source)
    await wait_all_tasks_blocked()
    assert (source.loads, source.cancelled) == (1, 1)
    assert await cache.load("k", TTL_S, source) == b"load 2"


async def cancelled_after(timeout_s: float, cache: CacheHandle, source: Source) -> None:
    with trio.move_on_after(timeout_s) as scope:
        await cache.load("k", TTL_S, source)
    assert scope.cancelled_caught


async def test_an_error_reaches_all_waiters_and_is_not_kept(cache: CacheHandle) -> None:
    """Clause C3."""
    source, errors = Source(LookupError("nothing there")), []

    async def ask() -> None:
        try:
            await cache.load("k", TTL_S, source)
        except LookupError as error:
            errors.append(error)

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(ask)
    assert len(errors) == 10
    assert source.loads == 1
    source.error = None
    assert await cache.load("k", TTL_S, source) == b"load 2"


async def test_what_was_deleted_during_its_load_is_not_kept(cache: CacheHandle) -> None:
    """Clause C3."""
    source, values = Source(), []

    async def ask() -> None:
        values.append(await cache.load("k", TTL_S, source))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.sleep(0.5)
        await cache.delete("k")
        nursery.start_soon(ask)
    assert sorted(values) == [b"load 1", b"load 2"]
    assert await cache.get("k") == b"load 2"


class SlowToKeep(MemoryCache):
    """Takes a second until something is there."""

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        await trio.sleep(1)
        await super().set(key, value, ttl_s)


async def old() -> bytes:
    return b"old"


async def test_what_was_on_its_way_to_the_cache_does_not_come_back_after_a_deletion() -> None:
    """Clause C3."""
    cache = CacheHandle()
    cache.attach(SlowToKeep(Random(1)), Metrics())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cache.load, "k", TTL_S, old)
        await wait_all_tasks_blocked()
        await cache.delete("k")
        assert await cache.get("k") is None
    assert await cache.get("k") is None


async def test_what_a_notice_outdates_on_its_way_to_the_cache_is_deleted_there() -> None:
    """Clause C3."""
    cache = CacheHandle()
    cache.attach(SlowToKeep(Random(1)), Metrics())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cache.load, "k", TTL_S, old)
        await wait_all_tasks_blocked()
        cache.outdate("k")
    assert await cache.get("k") is None


async def test_the_load_knows_no_deadline_but_its_waiters(cache: CacheHandle) -> None:
    deadlines: list[float] = []

    async def loader() -> bytes:
        deadlines.append(trio.current_effective_deadline())
        return b"v"

    with trio.move_on_after(1):
        await cache.load("k", TTL_S, loader)
    assert deadlines == [float("inf")]


async def test_away_a_load_goes_to_the_source_once_for_all_who_wait(
    away: CacheHandle, metrics: Metrics
) -> None:
    """Clause C7."""
    source, values = Source(), []

    async def ask() -> None:
        values.append(await away.load("k", TTL_S, source))

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(ask)
    assert values == [b"load 1"] * 100
    assert await away.load("k", TTL_S, source) == b"load 2"
    assert fallbacks(metrics, "cache.load", "load") == 2


async def test_away_writes_and_notices_are_dropped_and_counted(
    away: CacheHandle, metrics: Metrics
) -> None:
    """Clause C7."""
    await away.set("k", b"v", TTL_S)
    await away.delete("k")
    await away.publish("news", b"v")
    for operation in ("set", "delete", "publish"):
        assert fallbacks(metrics, f"cache.{operation}", "drop") == 1
        assert operations(metrics, operation, "unreachable") == 1


@pytest.mark.parametrize(("processes", "admitted"), [(1, 10), (3, 3), (10, 1), (50, 1)])
async def test_away_each_process_admits_its_share_of_a_limit(
    away: CacheHandle, metrics: Metrics, processes: int, admitted: int
) -> None:
    """Clause C7."""
    away.processes = processes
    verdicts = [await away.take("ann", TEN_A_MINUTE) for _ in range(20)]
    assert sum(verdict.allowed for verdict in verdicts) == admitted
    assert all(verdict.local for verdict in verdicts)
    assert verdicts[-1].retry_after_s == pytest.approx(6 * processes)
    await trio.sleep(verdicts[-1].retry_after_s)
    assert (await away.take("ann", TEN_A_MINUTE)).allowed
    assert fallbacks(metrics, "cache.take", "limit_locally") == 21


async def test_away_where_closed_is_declared_nothing_goes_on(away: CacheHandle) -> None:
    """Clause C7."""
    closed, source = away.under(CLOSED), Source()
    uses: list[Callable[[], Awaitable[object]]] = [
        lambda: closed.load("k", TTL_S, source),
        lambda: closed.get("k"),
        lambda: closed.set("k", b"v", TTL_S),
        lambda: closed.delete("k"),
        lambda: closed.take("k", TEN_A_MINUTE),
        lambda: closed.publish("c", b"v"),
    ]
    for use in uses:
        with pytest.raises(CacheUnavailable) as caught:
            await use()
        assert caught.value.reason is Away.UNREACHABLE
    assert source.loads == 0


async def test_away_who_refuses_does_not_share_the_load_of_who_goes_on(
    away: CacheHandle,
) -> None:
    source = Source()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(away.load, "k", TTL_S, source)
        await wait_all_tasks_blocked()
        with pytest.raises(CacheUnavailable):
            await away.under(CLOSED).load("k", TTL_S, source)
    assert source.loads == 1


async def test_away_streams_and_plain_reads_raise_under_any_rules(away: CacheHandle) -> None:
    """Clause C7."""
    uses: list[Callable[[], Awaitable[object]]] = [
        lambda: away.get("k"),
        lambda: away.append("s", b"v", 10),
        lambda: away.read("s", STREAM_START, 10),
        lambda: away.last_id("s"),
    ]
    for use in uses:
        with pytest.raises(CacheUnavailable):
            await use()


async def test_handles_under_other_rules_share_the_cache(cache: CacheHandle) -> None:
    await cache.under(CLOSED).set("k", b"v", TTL_S)
    assert await cache.get("k") == b"v"
    cache.detach()
    assert cache.under(CLOSED).presence is Presence.DOWN


async def test_operations_are_counted_by_their_outcome(
    cache: CacheHandle, metrics: Metrics
) -> None:
    source = Source()
    await cache.load("k", TTL_S, source)
    await cache.load("k", TTL_S, source)
    await cache.get("other")
    for _ in range(11):
        await cache.take("ann", TEN_A_MINUTE)
    entry_id = await cache.append("s", b"v", 10)
    assert await cache.last_id("s") == entry_id
    with trio.move_on_after(1):
        await cache.read("s", entry_id, 10, wait_s=5)
    expected = {
        ("load", "miss"): 1,
        ("load", "hit"): 1,
        ("set", "ok"): 1,
        ("get", "miss"): 1,
        ("take", "allowed"): 10,
        ("take", "denied"): 1,
        ("append", "ok"): 1,
        ("last_id", "ok"): 1,
        ("read", "cancelled"): 1,
    }
    assert {key: operations(metrics, *key) for key in expected} == expected
    name = "loyalnest_cache_operation_seconds_count"
    assert metrics.registry.get_sample_value(name, {"operation": "take"}) == 11


@pytest.mark.parametrize("attached", [True, False])
async def test_every_use_can_be_cancelled(
    cache: CacheHandle, away: CacheHandle, metrics: Metrics, attached: bool
) -> None:
    handle = cache if attached else away
    uses: list[Callable[[], Awaitable[object]]] = [
        lambda: handle.load("k", TTL_S, Source()),
        lambda: handle.set("k", b"v", TTL_S),
        lambda: handle.delete("k"),
        lambda: handle.take("k", TEN_A_MINUTE),
        lambda: handle.publish("c", b"v"),
        lambda: handle.follow("c", print),
    ]
    if attached:
        uses += [
            lambda: handle.get("k"),
            lambda: handle.append("s", b"v", 10),
            lambda: handle.read("s", STREAM_START, 10),
            lambda: handle.last_id("s"),
        ]
    for use in uses:
        with trio.CancelScope() as scope:
            scope.cancel()
            await use()
        assert scope.cancelled_caught


class Refusing(MemoryCache):
    """Answers, but not with what was asked for."""

    async def get(self, key: str) -> bytes | None:
        raise CacheRefused("no permission")

    async def take(self, key: str, limit: Limit, cost: int = 1) -> Verdict:
        raise CacheRefused("no permission")


async def test_a_cache_that_refuses_is_as_good_as_away(metrics: Metrics) -> None:
    """Clause C7."""
    handle = CacheHandle()
    handle.attach(Refusing(Random(1)), metrics)
    assert await handle.load("k", TTL_S, Source()) == b"load 1"
    assert (await handle.take("k", TEN_A_MINUTE)).local
    assert operations(metrics, "load", "refused") == 1
    with pytest.raises(CacheRefused):
        await handle.under(CLOSED).take("k", TEN_A_MINUTE)


async def test_followers_outlive_the_cache_they_follow(metrics: Metrics) -> None:
    """Clause C5."""
    handle = CacheHandle()
    heard: list[Notice | Missed] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(handle.follow, "news", heard.append)
        await wait_all_tasks_blocked()
        assert heard == []
        for number in range(2):
            cache = MemoryCache(Random(number))
            handle.attach(cache, metrics)
            await wait_all_tasks_blocked()
            await handle.publish("news", b"%d" % number)
            await wait_all_tasks_blocked()
            handle.detach()
            cache.close()
            await wait_all_tasks_blocked()
        assert heard == [Missed(), Notice(b"0"), Missed(), Notice(b"1")]
        nursery.cancel_scope.cancel()


def fallbacks(metrics: Metrics, name: str, kind: str) -> float:
    labels = {"name": name, "kind": kind}
    return metrics.registry.get_sample_value("loyalnest_fallbacks_total", labels) or 0.0


def operations(metrics: Metrics, operation: str, outcome: str) -> float:
    labels = {"operation": operation, "outcome": outcome}
    return metrics.registry.get_sample_value("loyalnest_cache_operations_total", labels) or 0.0
