"""What every limiter must do: the contract of `runtime.policies.limiters`."""

import sys
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest
import trio

from runtime import host
from runtime.cache import CacheHandle
from runtime.cache.redis import open_redis
from runtime.policies.limiters import Limiter, LocalLimiter, SharedLimiter
from runtime.policies.limits import Claim, Limit, per_minute
from runtime.ports import system_ports
from runtime.telemetry import Metrics
from tests.servers import RedisServer
from tests.stores import patient_redis

pytestmark = pytest.mark.trio(run=host.run)

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
"""A busy machine may be slower than the product allows Redis to be."""

_numbers = count(1)


@pytest.fixture(autouse=True)
def _leases_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was taken in advance is not forgotten while the machine stands still."""
    monkeypatch.setattr("runtime.policies.limiters.LEASE_S", 3_600.0)


@pytest.fixture(params=["local", "redis"])
async def limiter(request: pytest.FixtureRequest) -> AsyncIterator[Limiter]:
    """A limiter of each kind. The Redis is shared, so tests take names of their own."""
    ports, metrics = system_ports(), Metrics()
    if request.param == "local":
        yield LocalLimiter(ports.random)
        return
    server: RedisServer = request.getfixturevalue("redis_server")
    handle = CacheHandle(ports=ports, metrics=metrics)
    pipeline = patient_redis(PATIENCE_S)
    async with open_redis(server.url, ports.random, metrics, pipeline) as redis:
        handle.attach(redis, metrics)
        yield SharedLimiter(handle)


@pytest.fixture
def name() -> str:
    return f"limiter-{next(_numbers)}"


async def admitted(limiter: Limiter, calls: int, *claims: Claim) -> int:
    return sum([(await limiter.take(*claims)).allowed for _ in range(calls)])


@pytest.mark.parametrize("calls", [10, 100, 1_000])
async def test_a_limit_is_admitted_and_not_one_more(
    limiter: Limiter, name: str, calls: int
) -> None:
    slow = Claim("all", name, Limit(calls, 86_400.0, calls))
    assert await admitted(limiter, calls + 50, slow) == calls


async def test_the_eleventh_on_a_route_and_the_hundred_and_first_in_all(
    limiter: Limiter, name: str
) -> None:
    overall = Claim("all", name, Limit(100, 86_400.0, 100))
    ten = Limit(10, 86_400.0, 10)
    one = Claim("route", f"{name}-one", ten)
    assert await admitted(limiter, 10, one, overall) == 10
    refused = await limiter.take(one, overall)
    assert (refused.allowed, refused.claim) == (False, one)
    others = [Claim("route", f"{name}-{number}", ten) for number in range(10)]
    mix = [await limiter.take(others[number % 10], overall) for number in range(91)]
    assert [decision.allowed for decision in mix] == [True] * 90 + [False]
    assert mix[-1].claim == overall


async def test_a_call_that_one_limit_refuses_costs_nothing_of_the_others(
    limiter: Limiter, name: str
) -> None:
    wide = Claim("all", name, Limit(10, 86_400.0, 10))
    narrow = Claim("route", f"{name}-narrow", Limit(1, 86_400.0, 1))
    assert await admitted(limiter, 20, wide, narrow) == 1
    assert await admitted(limiter, 20, wide) == 9


async def test_after_the_time_that_a_refusal_names_the_call_is_admitted(
    limiter: Limiter, name: str
) -> None:
    claim = Claim("all", name, Limit(20, 1.0, 2))
    with trio.fail_after(PATIENCE_S):
        while (refused := await limiter.take(claim)).allowed:
            pass
    assert 0 < refused.verdict.retry_after_s <= 0.05
    await trio.sleep(refused.verdict.retry_after_s + 0.002)
    assert (await limiter.take(claim)).allowed


async def test_calls_at_the_same_time_take_no_more_than_the_limit(
    limiter: Limiter, name: str
) -> None:
    claim = Claim("all", name, Limit(1_000, 86_400.0, 1_000))
    allowed: list[int] = []

    async def client() -> None:
        allowed.append(await admitted(limiter, 40, claim))

    async with trio.open_nursery() as nursery:
        for _ in range(30):
            nursery.start_soon(client)
    assert 990 <= sum(allowed) <= 1_000


@pytest.mark.slow
async def test_two_processes_over_one_redis_admit_the_limit_and_at_most_one_percent_more(
    redis_server: RedisServer, name: str
) -> None:
    program = [sys.executable, "-m", "tests.contract.taking", redis_server.url, name, "2000"]
    admitted_by: list[int] = []

    async def process() -> None:
        done = await trio.run_process([*program, "1500"], capture_stdout=True, cwd=ROOT)
        admitted_by.append(int(done.stdout.split()[-1]))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(process)
        nursery.start_soon(process)
    assert 1_900 <= sum(admitted_by) <= 2_020, "each second of standing still loses up to ten"
    assert min(admitted_by) > 0


async def test_what_is_left_is_told(limiter: Limiter, name: str) -> None:
    wide = Claim("all", name, per_minute(100))
    narrow = Claim("route", f"{name}-narrow", per_minute(5))
    decision = await limiter.take(wide, narrow)
    assert decision.claim == narrow
    assert decision.verdict.remaining == 4
    assert decision.left == 0.8


async def test_a_limiter_that_is_told_no_limit_refuses_to_decide(limiter: Limiter) -> None:
    with pytest.raises(ValueError, match="no limit"):
        await limiter.take()
