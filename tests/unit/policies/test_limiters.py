"""Limiters beyond their contract: how they share, how seldom they ask, how fast they are."""

from collections import Counter
from itertools import cycle
from random import Random

import attrs
import pytest
import trio
from trio.testing import MockClock

from runtime.policies.errors import NotAdmitted, RateLimited
from runtime.policies.gcra import MICROSECONDS, LocalLimits
from runtime.policies.limiters import LocalLimiter, SharedLimiter
from runtime.policies.limits import Claim, Limit, Verdict, per_minute
from runtime.policies.pipeline import Pipeline
from runtime.policies.rate_limit import RateLimit, RateLimitSpec, RateLimitStatistics
from runtime.policies.spec import PipelineSpec
from tests.processor import each_s

DAY_S = 86_400.0
BUSY = Claim("all", "busy", Limit(10_000, DAY_S, 10_000))

DECISIONS = 20_000
DECISION_MAX_S = 10e-6
ROUNDS = 5


@attrs.define
class Shared:
    """A shared cache on the virtual clock that counts how often it is asked."""

    processes: int = 2
    asked: Counter[str] = attrs.field(factory=Counter)
    limits: LocalLimits = attrs.field(factory=lambda: LocalLimits(Random(1)))
    gate: trio.Event | None = None
    stuck: str = ""

    async def take(self, key: str, limit: Limit, cost: int = 1) -> Verdict:
        self.asked[key] += 1
        if key == self.stuck:
            await trio.sleep_forever()
        if self.gate is not None:
            await self.gate.wait()
        return self.limits.take(key, limit, cost, round(trio.current_time() * MICROSECONDS))


async def test_a_key_used_often_asks_seldom(autojump_clock: MockClock) -> None:
    shared = Shared()
    limiter = SharedLimiter(shared)
    for _ in range(5_000):
        assert (await limiter.take(BUSY)).allowed
    assert shared.asked["busy"] < 150


async def test_two_processes_together_admit_no_more_than_the_limit(
    autojump_clock: MockClock,
) -> None:
    shared = Shared()
    limiters = [SharedLimiter(shared), SharedLimiter(shared)]
    admitted = sum([(await limiters[n % 2].take(BUSY)).allowed for n in range(12_000)])
    assert 9_900 <= admitted <= 10_000


async def test_what_was_taken_in_advance_is_soon_forgotten(autojump_clock: MockClock) -> None:
    shared = Shared()
    limiter = SharedLimiter(shared)
    for _ in range(200):
        await limiter.take(BUSY)
    before = shared.asked["busy"]
    await trio.sleep(2.0)
    await limiter.take(BUSY)
    assert shared.asked["busy"] == before + 1


async def test_a_limit_below_the_leased_part_asks_each_time(autojump_clock: MockClock) -> None:
    shared = Shared()
    limiter = SharedLimiter(shared)
    for _ in range(50):
        await limiter.take(Claim("all", "small", Limit(100, DAY_S, 100)))
    assert shared.asked["small"] == 50


async def test_what_is_refused_is_refused_from_memory_until_it_may_be_allowed(
    autojump_clock: MockClock,
) -> None:
    shared = Shared()
    limiter = SharedLimiter(shared)
    claim = Claim("all", "attacked", per_minute(10))
    for _ in range(11):
        last = await limiter.take(claim)
    assert last.verdict.retry_after_s == 6.0
    for _ in range(1_000):
        assert not (await limiter.take(claim)).allowed
    assert shared.asked["attacked"] == 11
    await trio.sleep(5.0)
    assert (await limiter.take(claim)).verdict.retry_after_s == pytest.approx(1.0)
    await trio.sleep(1.0)
    assert (await limiter.take(claim)).allowed


async def test_a_cancelled_call_gives_back_what_it_had_taken(autojump_clock: MockClock) -> None:
    shared = Shared(stuck="second")
    limiter = SharedLimiter(shared)
    first, second = (Claim("all", name, Limit(1, DAY_S, 1)) for name in ("first", "second"))
    with trio.move_on_after(1.0) as scope:
        await limiter.take(first, second)
    assert scope.cancelled_caught
    assert (await limiter.take(first)).allowed


async def test_those_who_come_during_a_renewal_ask_for_themselves(
    autojump_clock: MockClock,
) -> None:
    shared = Shared()
    limiter = SharedLimiter(shared)
    await limiter.take(BUSY)
    shared.gate = trio.Event()
    allowed: list[bool] = []

    async def call() -> None:
        allowed.append((await limiter.take(BUSY)).allowed)

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(call)
        await trio.testing.wait_all_tasks_blocked()
        shared.gate.set()
    assert allowed == [True] * 20


async def test_the_policy_stands_alone(autojump_clock: MockClock) -> None:
    policy = RateLimit("sms", RateLimitSpec(count=2), LocalLimiter(Random(1)))
    calls = 0

    async def call() -> int:
        nonlocal calls
        calls += 1
        return calls

    assert [await policy.call(call), await policy.call(call)] == [1, 2]
    with pytest.raises(RateLimited) as refused:
        await policy.call(call)
    assert calls == 2
    assert isinstance(refused.value, NotAdmitted)
    retry_after_s = refused.value.retry_after_s
    assert retry_after_s == 30.0
    await trio.sleep(retry_after_s)
    assert await policy.call(call) == 3
    assert policy.statistics() == RateLimitStatistics(admitted=3, rejected=1)


async def test_two_policies_of_one_limiter_have_a_limit_each(autojump_clock: MockClock) -> None:
    limiter = LocalLimiter(Random(1))
    one, other = (RateLimit(name, RateLimitSpec(count=1), limiter) for name in ("a", "b"))
    await one.admit()
    await other.admit()
    with pytest.raises(RateLimited, match="a: the rate"):
        await one.admit()


async def test_the_burst_may_be_smaller_than_the_count(autojump_clock: MockClock) -> None:
    spec = RateLimitSpec(count=60, burst=1)
    policy = RateLimit("mail", spec, LocalLimiter(Random(1)))
    await policy.admit()
    with pytest.raises(RateLimited):
        await policy.admit()
    await trio.sleep(1.0)
    await policy.admit()


async def test_each_share_may_have_the_limit_for_itself(autojump_clock: MockClock) -> None:
    spec = RateLimitSpec(count=1, per_share=True)
    policy = RateLimit("sms", spec, LocalLimiter(Random(1)))
    await policy.admit("flora")
    await policy.admit("rival")
    with pytest.raises(RateLimited):
        await policy.admit("flora")


async def test_a_pipeline_asks_the_policy_first_and_repeats_nothing(
    autojump_clock: MockClock,
) -> None:
    policy = RateLimit("sms", RateLimitSpec(count=2), LocalLimiter(Random(1)))
    pipeline = Pipeline("sms", PipelineSpec(), Random(1), admissions=[policy])
    calls = 0

    async def call() -> None:
        nonlocal calls
        calls += 1

    for _ in range(2):
        await pipeline.call(call, repeatable=True)
    with pytest.raises(RateLimited):
        await pipeline.call(call, repeatable=True)
    assert calls == 2
    assert policy.statistics().rejected == 1


@pytest.mark.slow
async def test_a_decision_in_the_process_takes_at_most_ten_microseconds() -> None:
    """In the best of several rounds."""
    limiter = LocalLimiter(Random(1))
    taken = cycle(Claim("merchant", f"merchant-{n}", per_minute(60_000)) for n in range(1_000))

    async def decide() -> None:
        await limiter.take(next(taken))

    assert min([await each_s(decide, DECISIONS) for _ in range(ROUNDS)]) < DECISION_MAX_S
