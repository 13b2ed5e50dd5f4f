"""The rate limit's algorithm: exact at the edges, the same in Lua, small in memory."""

from random import Random
from sys import getsizeof

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.policies.gcra import BUCKET_KEYS_MAX, BUCKETS, LUA, LocalLimits, decide
from runtime.policies.limits import Limit
from tests.servers import RedisServer

SECOND = 1_000_000
TEN_A_MINUTE = Limit(10, 60.0, 10)
KEYS = 1_000_000
BYTES_MAX = 100_000_000


class Admissions:
    """One key's calls at chosen times."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.arrival = 0

    def at(self, now_us: int, cost: int = 1) -> bool:
        verdict, self.arrival = decide(self.arrival, now_us, self.limit, cost)
        return verdict.allowed

    def burst_at(self, now_us: int) -> int:
        """How many are admitted at once."""
        return sum(self.at(now_us) for _ in range(self.limit.burst * 3))


def test_a_burst_at_the_end_of_a_window_leaves_nothing_for_the_next() -> None:
    """Clause C4."""
    calls = Admissions(TEN_A_MINUTE)
    assert calls.burst_at(59 * SECOND) == 10
    assert calls.burst_at(61 * SECOND) == 0
    assert calls.burst_at(65 * SECOND) == 1
    assert calls.burst_at(119 * SECOND) == 9


def test_the_next_call_is_admitted_at_its_microsecond_and_not_before() -> None:
    """Clause C4."""
    calls = Admissions(TEN_A_MINUTE)
    start = 1_764_000_000 * SECOND
    assert calls.burst_at(start) == 10
    assert not calls.at(start + 6 * SECOND - 1)
    assert calls.at(start + 6 * SECOND)
    assert not calls.at(start + 6 * SECOND)


def test_a_rejected_call_costs_nothing() -> None:
    calls = Admissions(TEN_A_MINUTE)
    calls.burst_at(0)
    for moment in range(1_000):
        assert not calls.at(moment)
    assert calls.at(6 * SECOND)


def test_a_clock_that_was_set_back_does_not_lock_anybody_out() -> None:
    calls = Admissions(TEN_A_MINUTE)
    calls.burst_at(1_000 * SECOND)
    assert not calls.at(700 * SECOND)
    assert calls.at(706 * SECOND)


@given(
    st.integers(1, 50),
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(0, 3 * SECOND), st.integers(1, 3)), max_size=60),
)
def test_no_window_admits_more_than_burst_and_rate_allow(
    count: int, burst: int, calls: list[tuple[int, int]]
) -> None:
    limit = Limit(count, 10.0, burst)
    state = Admissions(limit)
    now, admitted = 0, []
    for pause, cost in calls:
        now += pause
        if cost <= burst and state.at(now, cost):
            admitted.append((now, cost))
    for index, (start, _) in enumerate(admitted):
        total = 0
        for moment, cost in admitted[index:]:
            total += cost
            assert total <= burst + (moment - start) // limit.interval_us


@pytest.mark.slow
@settings(max_examples=50)
@given(
    count=st.integers(1, 1_000),
    burst=st.integers(1, 1_000),
    calls=st.lists(st.tuples(st.integers(-(10**9), 10**9), st.integers(0, 5)), max_size=20),
)
def test_lua_decides_as_python_does(
    redis_server: RedisServer, count: int, burst: int, calls: list[tuple[int, int]]
) -> None:
    """Clause C4: at times of our choice, one script and one function give the same answers."""
    limit = Limit(count, 86_400.0, burst)
    script = LUA.replace("redis.call('TIME')", "{ARGV[4], ARGV[5]}")
    assert script != LUA
    with redis.Redis.from_url(redis_server.url) as client:
        client.delete("gcra")
        now, arrival = 1_764_000_000 * SECOND, 0
        for pause, cost in calls:
            now += pause
            if cost > burst:
                continue
            arguments = (limit.interval_us, burst, cost, now // SECOND, now % SECOND)
            answer = client.eval(script, 1, "gcra", *arguments)
            verdict, arrival = decide(arrival, now, limit, cost)
            # Redis forgets a key that is idle.
            arrival = arrival if arrival > now else 0
            expected = [
                verdict.allowed,
                round(verdict.retry_after_s * SECOND),
                verdict.remaining,
            ]
            assert answer == expected


def test_a_key_is_remembered_until_it_is_idle_and_then_makes_room() -> None:
    limits = LocalLimits(Random(1), buckets=256)
    assert limits.take("a", TEN_A_MINUTE, 10, 0).allowed
    assert not limits.take("a", TEN_A_MINUTE, 1, 5 * SECOND).allowed
    for number in range(2_000):
        assert limits.take(f"key-{number}", TEN_A_MINUTE, 10, 10 * SECOND).allowed
    assert not limits.take("a", TEN_A_MINUTE, 2, 10 * SECOND).allowed
    for number in range(2_000):
        limits.take(f"other-{number}", TEN_A_MINUTE, 1, 200 * SECOND)
    assert len(limits) < 3_500


def test_a_crowded_bucket_gives_up_the_key_that_is_idle_soonest() -> None:
    limits = LocalLimits(Random(1), buckets=1)
    limits.take("busy", TEN_A_MINUTE, 10, 0)
    for number in range(BUCKET_KEYS_MAX * 3):
        limits.take(f"key-{number}", TEN_A_MINUTE, 1, 1)
    assert len(limits) == BUCKET_KEYS_MAX
    assert not limits.take("busy", TEN_A_MINUTE, 1, 2).allowed


@pytest.mark.parametrize(
    "part", [pytest.param(20, id="a twentieth"), pytest.param(1, id="all", marks=pytest.mark.long)]
)
def test_a_million_keys_fit_into_a_hundred_megabytes(part: int) -> None:
    """Clause C4."""
    limits = LocalLimits(Random(1), buckets=BUCKETS // part)
    for number in range(KEYS // part):
        limits.take(f"login:10.0.{number}", TEN_A_MINUTE, 1, 0)
    assert len(limits) > KEYS // part * 0.99
    assert getsizeof(limits) * part < BYTES_MAX
