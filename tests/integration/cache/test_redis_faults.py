"""A real Redis that is frozen, killed and restarted under the cache."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import attrs
import pytest
import trio
import trio.testing

from runtime import host
from runtime.cache import (
    STREAM_START,
    Away,
    CacheRefused,
    CacheUnavailable,
    Limit,
    Missed,
    Notice,
    Presence,
    redis,
    redis_listener,
)
from runtime.cache.policies import CONNECTIONS_MAX, REDIS
from runtime.cache.redis import TIMEOUT_S, RedisCache, open_redis
from runtime.policies import BreakerSpec, BreakerState
from runtime.ports import system_ports
from runtime.telemetry import Metrics
from tests.integration.cache.helpers import Faulty, until
from tests.integration.cache.proxy import Proxy
from tests.noise import noise
from tests.servers import RedisServer

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]

MARGIN_S = 0.05
SLOW_S = 3.0
RECOVERY_MAX_S = 60.0
BACK_MAX_S = 30.0
"""Ten seconds, and what a busy machine adds; without a bound the breaker's pauses double."""

REJECTION_MAX_S = 0.005
LIMIT = Limit(1_000_000, 1.0, 1_000_000)
CANCELLATIONS = 1_000
KEYS = 50


def operations(cache: RedisCache) -> list[Callable[[], Awaitable[object]]]:
    return [
        lambda: cache.get("k"),
        lambda: cache.set("k", b"v", 60),
        lambda: cache.delete("k"),
        lambda: cache.take("k", LIMIT),
        lambda: cache.publish("c", b"v"),
        lambda: cache.append("s", b"v", 10),
        lambda: cache.read("s", STREAM_START, 10, wait_s=5),
        lambda: cache.last_id("s"),
    ]


async def timed(use: Callable[[], Awaitable[object]]) -> tuple[float, Away]:
    """How long a use took that must fail, and why it failed."""
    started_at = trio.current_time()
    with pytest.raises(CacheUnavailable) as caught:
        await use()
    return trio.current_time() - started_at, caught.value.reason


CALLS_MIN = BreakerSpec().calls_min


def breaker_state(cache: RedisCache) -> BreakerState:
    assert cache.pipeline.breaker is not None
    return cache.pipeline.breaker.state


async def open_breaker(faulty: Faulty) -> None:
    """Call until the breaker has seen enough."""
    for _ in range(CALLS_MIN):
        with pytest.raises(CacheUnavailable):
            await faulty.cache.get("k")
        if breaker_state(faulty.cache) is BreakerState.OPEN:
            return
    raise AssertionError("the breaker never opened")


async def test_every_operation_on_a_frozen_redis_ends_in_time(faulty: Faulty) -> None:
    """Clause C2."""
    faulty.server.pause()
    async with noise() as machine:
        for use in operations(faulty.cache):
            seconds, reason = await timed(use)
            assert seconds < TIMEOUT_S + MARGIN_S + machine.worst_s
            assert reason is Away.SLOW
    assert faulty.cache.connections_lent == 0


@pytest.mark.usefixtures("opens_for_long")
async def test_an_open_breaker_rejects_at_once_and_sends_nothing(faulty: Faulty) -> None:
    """Clause C8."""
    faulty.server.pause()
    await open_breaker(faulty)
    seconds = []
    for use in operations(faulty.cache):
        took_s, reason = await timed(use)
        assert reason is Away.REJECTED
        seconds.append(took_s)
    assert min(seconds) < REJECTION_MAX_S
    assert sorted(seconds)[len(seconds) // 2] < REJECTION_MAX_S
    assert faulty.sample("breaker_state", name="redis", state="open") == 1
    assert faulty.sample("breaker_calls_total", name="redis", outcome="rejected") == 8


@pytest.mark.parametrize("fault", ["freeze", "kill"])
async def test_it_is_used_again_soon_after_it_is_back(faulty: Faulty, fault: str) -> None:
    """Clause C9."""
    server, cache = faulty.server, faulty.cache
    server.pause() if fault == "freeze" else server.kill()
    await open_breaker(faulty)
    await until(lambda: cache.presence is Presence.DOWN)
    assert faulty.sample("dependency_up", dependency="redis") == 0
    if fault == "freeze":
        server.resume()
    else:
        await trio.to_thread.run_sync(server.start)
    with trio.fail_after(BACK_MAX_S):
        await until_used(cache)
        await until(lambda: cache.presence is Presence.UP)
    assert faulty.sample("dependency_up", dependency="redis") == 1


async def until_used(cache: RedisCache) -> None:
    """Until the breaker is closed and a value comes back."""
    while True:
        try:
            await cache.set("k", b"v", 60)
            if breaker_state(cache) is BreakerState.CLOSED and await cache.get("k") == b"v":
                return
        except CacheUnavailable:
            await trio.sleep(0.05)


async def use_all_connections(cache: RedisCache) -> None:
    """All at once; on a busy machine some may need a second try within the cache's limit."""
    with trio.fail_after(RECOVERY_MAX_S):
        async with trio.open_nursery() as nursery:
            for _ in range(CONNECTIONS_MAX):
                nursery.start_soon(until_used, cache)


async def test_a_restart_costs_at_most_one_failure(slow: Faulty) -> None:
    """Connections that the old server closed are not mistaken for good ones."""
    cache, failures = slow.cache, 0
    await use_all_connections(cache)
    await trio.to_thread.run_sync(slow.server.restart)
    for _ in range(CONNECTIONS_MAX):
        try:
            await cache.get("k")
        except CacheUnavailable:
            failures += 1
    assert failures <= 1


async def test_connections_that_went_silent_cost_at_most_one_failure(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a firewall forgot them: no word comes back, while new ones work, which may be slow
    on a busy machine."""
    spec = attrs.evolve(REDIS, deadline_s=SLOW_S, attempt_s=SLOW_S)
    monkeypatch.setattr(redis, "REDIS", spec)
    monkeypatch.setattr(redis_listener, "SILENCE_MAX_S", 2 * SLOW_S)
    proxy, failures = Proxy(server.url, tmp_path / "proxy.sock"), 0
    async with trio.open_nursery() as nursery:
        await nursery.start(proxy.run)
        async with open_redis(proxy.url, system_ports().random, Metrics()) as cache:
            await until(lambda: cache.listener.up)
            await use_all_connections(cache)
            proxy.silence()
            for _ in range(CONNECTIONS_MAX):
                try:
                    await cache.get("k")
                except CacheUnavailable:
                    failures += 1
            async with cache.subscribe("news") as news:
                with trio.fail_after(RECOVERY_MAX_S):
                    assert await news.receive() == Missed()
        nursery.cancel_scope.cancel()
    assert failures == 1


async def test_subscriptions_outlive_a_restart_and_are_told_what_they_may_have_missed(
    slow: Faulty,
) -> None:
    """Clause C5."""
    cache = slow.cache
    async with cache.subscribe("news") as news, cache.subscribe("other") as other:
        await cache.publish("news", b"before")
        with trio.fail_after(RECOVERY_MAX_S):
            assert await news.receive() == Notice(b"before")
        slow.server.kill()
        await until(lambda: not cache.listener.up)
        await trio.to_thread.run_sync(slow.server.start)
        with trio.fail_after(RECOVERY_MAX_S):
            assert await news.receive() == Missed()
            assert await other.receive() == Missed()
            await cache.publish("news", b"after")
            assert await news.receive() == Notice(b"after")


async def test_a_thousand_cancellations_leave_the_pool_whole_and_no_answer_astray(
    slow: Faulty,
) -> None:
    """Clause C2: every value says which key it belongs to."""
    cache, random = slow.cache, Random(7)
    for number in range(KEYS):
        await cache.set(f"key-{number}", b"value-%d" % number, 600)
    cancelled: list[bool] = []

    async def use(number: int, delay_s: float) -> None:
        with trio.move_on_after(delay_s) as scope:
            if number % 3 == 0:
                await cache.set(f"key-{number}", b"value-%d" % number, 600)
            elif number % 3 == 1:
                assert (await cache.take("limit", LIMIT)).allowed
            else:
                assert await cache.get(f"key-{number}") == b"value-%d" % number
        cancelled.append(scope.cancelled_caught)

    spread_s = 0.003
    for _ in range(CANCELLATIONS // 20):
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(use, random.randrange(KEYS), random.uniform(0, spread_s))
        # As long as it takes here and now, so that some are cancelled and some are not.
        spread_s *= 0.8 if sum(cancelled[-20:]) < 10 else 1.25
    assert CANCELLATIONS / 20 < sum(cancelled) < CANCELLATIONS
    assert cache.connections_lent == 0
    assert breaker_state(cache) is BreakerState.CLOSED
    assert slow.sample("breaker_calls_total", name="redis", outcome="failure") == 0
    for number in range(KEYS):
        assert await cache.get(f"key-{number}") == b"value-%d" % number


async def test_a_cancelled_use_of_a_frozen_redis_returns_at_once(faulty: Faulty) -> None:
    """Clause C2."""
    faulty.server.pause()
    async with noise() as machine:
        for use in operations(faulty.cache):
            started_at = trio.current_time()
            with trio.move_on_after(0.01) as scope:
                await use()
            assert scope.cancelled_caught
            assert trio.current_time() - started_at < MARGIN_S + machine.worst_s
    assert breaker_state(faulty.cache) is BreakerState.CLOSED


async def test_a_full_pool_is_no_failure_of_redis(faulty: Faulty) -> None:
    cache = faulty.cache
    faulty.server.pause()

    async def hold() -> None:
        await cache.pipeline.call(lambda: cache._connections.ask(("PING",)), limit_s=60.0)

    async with trio.open_nursery() as holders:
        for _ in range(CONNECTIONS_MAX):
            holders.start_soon(hold)
        while cache.connections_lent < CONNECTIONS_MAX:
            await trio.testing.wait_all_tasks_blocked()
        reasons = [(await timed(lambda: cache.get("k")))[1] for _ in range(3)]
        holders.cancel_scope.cancel()
    assert reasons == [Away.BUSY] * 3
    assert breaker_state(cache) is BreakerState.CLOSED


async def test_what_redis_refuses_is_no_failure_and_keeps_the_connection(slow: Faulty) -> None:
    cache = slow.cache
    for _ in range(CALLS_MIN * 2):
        with pytest.raises(CacheRefused, match="Invalid stream ID"):
            await cache.read("s", "nonsense", 10)
    assert breaker_state(cache) is BreakerState.CLOSED
    await cache.set("k", b"v", 60)
    assert await cache.get("k") == b"v"


@pytest.mark.usefixtures("patient")
async def test_a_redis_that_is_away_at_the_start_is_used_when_it_comes(
    server: RedisServer,
) -> None:
    server.kill()
    async with (
        open_redis(server.url, system_ports().random, Metrics()) as cache,
        cache.subscribe("news") as news,
    ):
        assert (await timed(lambda: cache.get("k")))[1] is Away.UNREACHABLE
        await trio.to_thread.run_sync(server.start)
        with trio.fail_after(RECOVERY_MAX_S):
            assert await news.receive() == Missed()
            await cache.publish("news", b"after")
            assert await news.receive() == Notice(b"after")
