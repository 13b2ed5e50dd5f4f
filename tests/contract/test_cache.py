"""What Redis and its twin in the process must both do: the contract of `runtime.cache.port`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count

import pytest
import trio

from runtime import host
from runtime.cache import STREAM_START, Cache, Limit, Missed, Notice, Presence, open_cache
from runtime.cache.port import KEY_BYTES_MAX, KEYS_MAX, VALUE_BYTES_MAX
from runtime.cache.redis import open_redis
from runtime.cache.subscriptions import BUFFERED
from runtime.policies.limits import Verdict
from runtime.ports import system_ports
from runtime.telemetry import Metrics
from tests.servers import RedisServer, unhurried_redis
from tests.stores import patient_redis

pytestmark = pytest.mark.trio(run=host.run)

HOUR_S = 3_600.0
PATIENCE_S = 30.0
"""A busy machine may be slower than the product allows Redis to be."""
TEN_AN_HOUR = Limit(10, HOUR_S, 10)

_numbers = count(1)


@pytest.fixture(params=["twin", "redis"])
async def cache(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Cache]:
    """A cache of each kind. The Redis is shared, so tests take names of their own."""
    ports, metrics = system_ports(), Metrics()
    if request.param == "redis":
        unhurried_redis(monkeypatch)
        server: RedisServer = request.getfixturevalue("redis_server")
        pipeline = patient_redis(PATIENCE_S)
        async with open_redis(server.url, ports.random, metrics, pipeline) as redis:
            yield redis
        return
    async with open_cache(None, ports, metrics) as cache:
        yield cache


@pytest.fixture
def name() -> str:
    return f"name-{next(_numbers)}"


async def test_a_value_is_kept_as_it_is(cache: Cache, name: str) -> None:
    """Clause C1."""
    for value in (b"", b"\x00\xff\r\n", b"x" * 100_000):
        await cache.set(name, value, HOUR_S)
        assert await cache.get(name) == value


async def test_what_was_never_set_or_was_deleted_is_none(cache: Cache, name: str) -> None:
    assert await cache.get(name) is None
    await cache.set(name, b"1", HOUR_S)
    await cache.set(name + "b", b"2", HOUR_S)
    await cache.delete(name, name + "b", name + "c")
    await cache.delete()
    assert await cache.get(name) is None
    assert await cache.get(name + "b") is None


async def test_a_value_ends_with_its_time_to_live(cache: Cache, name: str) -> None:
    """Clause C1."""
    await cache.set(name, b"short", 0.03)
    await cache.set(name + "b", b"short", 0.03)
    await cache.set(name + "b", b"long", HOUR_S)
    await trio.sleep(0.05)
    assert await cache.get(name) is None
    assert await cache.get(name + "b") == b"long"


async def test_what_breaks_a_bound_is_refused(cache: Cache, name: str) -> None:
    wrong: list[Callable[[], Awaitable[object]]] = [
        lambda: cache.get(""),
        lambda: cache.get("k" * (KEY_BYTES_MAX + 1)),
        lambda: cache.set(name, b"v" * (VALUE_BYTES_MAX + 1), 1),
        lambda: cache.set(name, b"v", 0),
        lambda: cache.delete(*[name] * (KEYS_MAX + 1)),
        lambda: cache.take(name, TEN_AN_HOUR, 11),
        lambda: cache.take(name, TEN_AN_HOUR, -1),
        lambda: cache.read(name, STREAM_START, 0),
        lambda: cache.read(name, STREAM_START, 1, 3_600),
    ]
    for use in wrong:
        with pytest.raises(ValueError, match=r"1 to|at most|a time to live|0 to"):
            await use()


async def test_a_burst_is_admitted_and_not_one_more(cache: Cache, name: str) -> None:
    """Clause C4."""
    verdicts = [await cache.take(name, TEN_AN_HOUR) for _ in range(11)]
    assert [verdict.allowed for verdict in verdicts] == [True] * 10 + [False]
    assert [verdict.remaining for verdict in verdicts] == [*range(9, -1, -1), 0]
    assert 350 < verdicts[-1].retry_after_s <= 360
    assert not any(verdict.local for verdict in verdicts)


async def test_calls_at_the_same_time_take_no_more_than_the_burst(cache: Cache, name: str) -> None:
    allowed: list[bool] = []

    async def take() -> None:
        allowed.append((await cache.take(name, TEN_AN_HOUR)).allowed)

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(take)
    assert sum(allowed) == 10


async def test_after_retry_after_and_not_before_the_call_is_admitted(
    cache: Cache, name: str
) -> None:
    """Clause C4."""
    limit = Limit(20, 1.0, 2)
    denied = await denial(cache, name, limit)
    assert 0 < denied.retry_after_s <= 0.05
    await trio.sleep(denied.retry_after_s)
    assert (await cache.take(name, limit)).allowed
    await denial(cache, name, limit)


async def denial(cache: Cache, name: str, limit: Limit) -> Verdict:
    """That of the first call which is denied: those before may have taken long enough to be
    admitted."""
    with trio.fail_after(PATIENCE_S):
        while True:
            verdict = await cache.take(name, limit)
            if not verdict.allowed:
                return verdict


async def test_a_cost_counts_as_so_many_calls_and_none_only_looks(cache: Cache, name: str) -> None:
    assert (await cache.take(name, TEN_AN_HOUR, 0)).remaining == 10
    assert (await cache.take(name, TEN_AN_HOUR, 7)).remaining == 3
    denied = await cache.take(name, TEN_AN_HOUR, 4)
    assert (denied.allowed, denied.remaining) == (False, 3)
    assert (await cache.take(name, TEN_AN_HOUR, 3)).allowed
    looked = await cache.take(name, TEN_AN_HOUR, 0)
    assert (looked.allowed, looked.remaining) == (True, 0)


async def test_notices_reach_the_subscribers_of_their_channel_in_order(
    cache: Cache, name: str
) -> None:
    """Clause C5."""
    await until_listening(cache)
    async with cache.subscribe(name) as one, cache.subscribe(name) as two:
        async with cache.subscribe(name + "b") as other:
            for number in range(20):
                await cache.publish(name, b"%d" % number)
            await cache.publish(name + "b", b"other")
            expected = [Notice(b"%d" % number) for number in range(20)]
            with trio.fail_after(PATIENCE_S):
                assert [await one.receive() for _ in range(20)] == expected
                assert [await two.receive() for _ in range(20)] == expected
                assert await other.receive() == Notice(b"other")
        await cache.publish(name + "b", b"nobody")
        await cache.publish(name, b"last")
        with trio.fail_after(PATIENCE_S):
            assert await one.receive() == Notice(b"last")


async def test_a_channel_can_be_left_and_joined_again(cache: Cache, name: str) -> None:
    await until_listening(cache)
    for number in range(3):
        async with cache.subscribe(name) as subscription:
            await cache.publish(name, b"%d" % number)
            with trio.fail_after(PATIENCE_S):
                assert await subscription.receive() == Notice(b"%d" % number)


async def test_a_subscriber_that_falls_behind_is_told_so(cache: Cache, name: str) -> None:
    """Clause C5."""
    await until_listening(cache)
    async with cache.subscribe(name) as slow, cache.subscribe(name) as quick:
        for number in range(BUFFERED + 1):
            await cache.publish(name, b"%d" % number)
            with trio.fail_after(PATIENCE_S):
                await quick.receive()
        assert await slow.receive() == Missed()
        await cache.publish(name, b"after")
        with trio.fail_after(PATIENCE_S):
            assert await slow.receive() == Notice(b"after")


async def test_closing_ends_a_subscription(redis_server: RedisServer) -> None:
    for url in (None, redis_server.url):
        async with open_cache(url, system_ports(), Metrics()) as cache:
            reader = cache.subscribe("anything")
            subscription = await reader.__aenter__()
        with trio.fail_after(PATIENCE_S):
            assert [n async for n in subscription if n != Missed()] == []
        await reader.__aexit__(None, None, None)


async def test_a_stream_gives_what_comes_behind_an_id(cache: Cache, name: str) -> None:
    """Clause C6."""
    assert await cache.last_id(name) == STREAM_START
    assert await cache.read(name, STREAM_START, 10) == []
    ids = [await cache.append(name, b"%d" % number, 100) for number in range(5)]
    entries = await cache.read(name, STREAM_START, 3)
    assert [entry.payload for entry in entries] == [b"0", b"1", b"2"]
    assert [entry.entry_id for entry in entries] == ids[:3]
    rest = await cache.read(name, ids[2], 10)
    assert [entry.payload for entry in rest] == [b"3", b"4"]
    assert await cache.last_id(name) == ids[-1]
    assert await cache.read(name, ids[-1], 10) == []


async def test_a_stream_forgets_its_oldest_entries(cache: Cache, name: str) -> None:
    """Clause C6."""
    for number in range(10):
        await cache.append(name, b"%d" % number, 3)
    entries = await cache.read(name, STREAM_START, 10)
    assert [entry.payload for entry in entries] == [b"7", b"8", b"9"]


async def test_a_waiting_read_ends_with_the_first_entry_or_with_its_time(
    cache: Cache, name: str
) -> None:
    """Clause C6."""
    assert await cache.read(name, STREAM_START, 10, wait_s=0.02) == []
    found: list[bytes] = []

    async def wait() -> None:
        entries = await cache.read(name, STREAM_START, 10, wait_s=2 * PATIENCE_S)
        found.extend(entry.payload for entry in entries)

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.sleep(0.02)
            assert found == []
            await cache.append(name, b"news", 10)
    assert found == [b"news"]


async def test_every_operation_can_be_cancelled(cache: Cache, name: str) -> None:
    """Clause C2."""
    operations: list[Callable[[], Awaitable[object]]] = [
        lambda: cache.get(name),
        lambda: cache.set(name, b"v", 1),
        lambda: cache.delete(name),
        lambda: cache.take(name, TEN_AN_HOUR),
        lambda: cache.publish(name, b"v"),
        lambda: cache.append(name, b"v", 10),
        lambda: cache.read(name, STREAM_START, 1),
        lambda: cache.last_id(name),
    ]
    for operation in operations:
        with trio.CancelScope() as scope:
            scope.cancel()
            await operation()
        assert scope.cancelled_caught
    async with cache.subscribe(name) as subscription:
        with trio.move_on_after(0.01) as scope:
            while await subscription.receive() == Missed():
                pass
        assert scope.cancelled_caught
    with trio.fail_after(PATIENCE_S), trio.move_on_after(0.01) as scope:
        await cache.read(name + "b", STREAM_START, 1, wait_s=2 * PATIENCE_S)
    assert scope.cancelled_caught
    assert await cache.get(name) is None


async def until_listening(cache: Cache) -> None:
    """The listener's first connection is made in the background."""
    with trio.fail_after(PATIENCE_S):
        while cache.presence is Presence.DOWN:  # noqa: ASYNC110 - it tells nobody
            await trio.sleep(0.005)
