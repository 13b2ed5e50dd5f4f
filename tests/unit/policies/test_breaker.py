"""The breaker, with the defects that breakers are known for."""

from collections.abc import Callable
from random import Random

import pytest
import trio

from runtime.policies import (
    Breaker,
    BreakerOpen,
    BreakerSpec,
    BreakerState,
    ForcedState,
    Permit,
)
from runtime.telemetry import Metrics
from tests.unit.policies.helpers import count
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

SPEC = BreakerSpec(jitter=0.0)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def breaker(metrics: Metrics) -> Breaker:
    return Breaker("store", SPEC, Random(1), metrics.policies)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.admit().failed()


def succeed(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.admit().succeeded()


def is_rejected(breaker: Breaker) -> bool:
    try:
        breaker.admit().abandoned()
    except BreakerOpen:
        return True
    return False


def state_of(breaker: Breaker) -> BreakerState:
    """Read anew each time, which a type checker does not know of properties."""
    return breaker.state


async def test_nineteen_failures_of_nineteen_leave_it_closed_and_the_twentieth_opens(
    breaker: Breaker,
) -> None:
    """Clause P2."""
    fail(breaker, 19)
    assert state_of(breaker) is BreakerState.CLOSED
    fail(breaker, 1)
    assert state_of(breaker) is BreakerState.OPEN
    with pytest.raises(BreakerOpen, match=r"store: it failed too often; try again in 5\.0 s"):
        breaker.admit()


async def test_less_than_half_failed_leaves_it_closed(breaker: Breaker) -> None:
    """Clause P2."""
    succeed(breaker, 20)
    fail(breaker, 19)
    assert state_of(breaker) is BreakerState.CLOSED
    fail(breaker, 1)
    assert state_of(breaker) is BreakerState.OPEN


async def test_what_is_older_than_the_window_is_forgotten(breaker: Breaker) -> None:
    fail(breaker, 19)
    await trio.sleep(SPEC.window_s)
    fail(breaker, 19)
    assert state_of(breaker) is BreakerState.CLOSED
    await trio.sleep(SPEC.window_s - 1)
    fail(breaker, 1)
    assert state_of(breaker) is BreakerState.OPEN


async def test_a_success_does_not_open_it(breaker: Breaker) -> None:
    fail(breaker, 19)
    succeed(breaker, 5)
    assert state_of(breaker) is BreakerState.CLOSED


async def test_a_caller_that_gives_up_counts_for_nothing(breaker: Breaker) -> None:
    """Clause P4."""
    for _ in range(100):
        breaker.admit().abandoned()
    fail(breaker, 19)
    assert state_of(breaker) is BreakerState.CLOSED


async def test_of_a_hundred_callers_three_try_and_their_success_closes_it(
    breaker: Breaker,
) -> None:
    """Clause P3."""
    fail(breaker, 20)
    await trio.sleep(SPEC.open_s)
    permits: list[Permit] = []
    rejected = 0
    for _ in range(100):
        try:
            permits.append(breaker.admit())
        except BreakerOpen:
            rejected += 1
    assert (len(permits), rejected) == (3, 97)
    for permit in permits[:2]:
        permit.succeeded()
        assert state_of(breaker) is BreakerState.HALF_OPEN
    permits[2].succeeded()
    assert state_of(breaker) is BreakerState.CLOSED


async def test_it_stays_open_twice_as_long_after_each_failed_trial_up_to_a_bound(
    breaker: Breaker,
) -> None:
    """Clause P2."""
    fail(breaker, 20)
    for open_s in (5, 10, 20, 40, 60, 60):
        await trio.sleep(open_s - 0.002)
        assert is_rejected(breaker)
        await trio.sleep(0.002)
        breaker.admit().failed()
        assert state_of(breaker) is BreakerState.OPEN
    await trio.sleep(60)
    succeed(breaker, 3)
    fail(breaker, 20)
    await trio.sleep(5)
    assert state_of(breaker) is BreakerState.HALF_OPEN


async def test_the_time_open_is_spread_by_the_jitter() -> None:
    spec = BreakerSpec(jitter=0.1)
    opened_s = set()
    for seed in range(50):
        breaker = Breaker("store", spec, Random(seed))
        fail(breaker, 20)
        with trio.fail_after(spec.open_s * 1.2):
            passed_s = 0.0
            while breaker.state is BreakerState.OPEN:
                await trio.sleep(0.05)
                passed_s += 0.05
        opened_s.add(round(passed_s, 2))
    assert min(opened_s) >= 4.5
    assert max(opened_s) <= 5.55
    assert len(opened_s) > 5


async def test_a_hung_trial_opens_it_again_after_its_time(breaker: Breaker) -> None:
    """Clause P3."""
    fail(breaker, 20)
    await trio.sleep(SPEC.open_s)
    hung = [breaker.admit() for _ in range(3)]
    await trio.sleep(SPEC.half_open_s - 0.001)
    assert state_of(breaker) is BreakerState.HALF_OPEN
    await trio.sleep(0.001)
    assert state_of(breaker) is BreakerState.OPEN
    for permit in hung:
        permit.succeeded()
    assert state_of(breaker) is BreakerState.OPEN


async def test_a_trial_that_is_given_up_leaves_its_permit_to_others(breaker: Breaker) -> None:
    """Clause P3."""
    fail(breaker, 20)
    await trio.sleep(SPEC.open_s)
    for _ in range(10):
        permits = [breaker.admit() for _ in range(3)]
        assert is_rejected(breaker)
        for permit in permits:
            permit.abandoned()
    succeed(breaker, 3)
    assert state_of(breaker) is BreakerState.CLOSED


@pytest.mark.parametrize("end", [Permit.succeeded, Permit.failed])
async def test_a_result_of_an_older_generation_is_ignored(
    breaker: Breaker, end: Callable[[Permit], None]
) -> None:
    """Clause P4."""
    old = [breaker.admit() for _ in range(40)]
    fail(breaker, 20)
    for permit in old[:10]:
        end(permit)
    assert state_of(breaker) is BreakerState.OPEN
    await trio.sleep(SPEC.open_s)
    assert state_of(breaker) is BreakerState.HALF_OPEN
    for permit in old[10:20]:
        end(permit)
    assert state_of(breaker) is BreakerState.HALF_OPEN
    succeed(breaker, 3)
    for permit in old[20:]:
        end(permit)
    assert state_of(breaker) is BreakerState.CLOSED


async def test_a_permit_ends_once(breaker: Breaker, metrics: Metrics) -> None:
    permit = breaker.admit()
    permit.failed()
    permit.succeeded()
    permit.abandoned()
    assert count(metrics, "breaker_calls_total", name="store", outcome="failure") == 1
    assert count(metrics, "breaker_calls_total", name="store", outcome="success") == 0
    assert count(metrics, "breaker_calls_total", name="store", outcome="abandoned") == 0


async def test_every_transition_is_counted_once(breaker: Breaker, metrics: Metrics) -> None:
    """Clause P4."""
    permits = [breaker.admit() for _ in range(20)]
    fail(breaker, 20)
    for permit in permits:
        permit.failed()
    assert is_rejected(breaker)
    await trio.sleep(SPEC.open_s)
    succeed(breaker, 3)
    for before, after in (("closed", "open"), ("open", "half_open"), ("half_open", "closed")):
        labels = {"name": "store", "from": before, "to": after}
        assert count(metrics, "breaker_transitions_total", **labels) == 1
    assert count(metrics, "breaker_state", name="store", state="closed") == 1
    assert count(metrics, "breaker_state", name="store", state="open") == 0
    assert count(metrics, "breaker_calls_total", name="store", outcome="rejected") == 1


async def test_slow_calls_open_it_like_failures() -> None:
    """Clause P2."""
    breaker = Breaker("store", BreakerSpec(jitter=0.0), Random(1))
    for _ in range(10):
        breaker.admit().succeeded()
    for _ in range(9):
        breaker.admit().succeeded(slow=True)
    assert state_of(breaker) is BreakerState.CLOSED
    breaker.admit().succeeded(slow=True)
    assert state_of(breaker) is BreakerState.OPEN


async def test_trials_that_are_slow_open_it_again() -> None:
    """Clause P3."""
    for slow, state in ((2, BreakerState.OPEN), (1, BreakerState.CLOSED)):
        breaker = Breaker("store", BreakerSpec(jitter=0.0), Random(1))
        fail(breaker, 20)
        await trio.sleep(SPEC.open_s)
        for number in range(3):
            breaker.admit().succeeded(slow=number < slow)
        assert state_of(breaker) is state


async def test_without_calls_it_stays_half_open_and_does_not_punish_the_silence(
    breaker: Breaker,
) -> None:
    """Clause P3."""
    fail(breaker, 20)
    await trio.sleep(SPEC.open_s)
    assert state_of(breaker) is BreakerState.HALF_OPEN
    for _ in range(3):
        await trio.sleep(10 * SPEC.half_open_s)
        succeed(breaker, 1)
    assert state_of(breaker) is BreakerState.CLOSED


async def test_the_metrics_tell_of_a_hung_trial_though_nobody_calls(
    breaker: Breaker, metrics: Metrics
) -> None:
    """Clause P3."""
    fail(breaker, 20)
    await trio.sleep(SPEC.open_s)
    breaker.admit()
    assert count(metrics, "breaker_state", name="store", state="half_open") == 1
    await trio.sleep(SPEC.half_open_s)
    assert count(metrics, "breaker_state", name="store", state="open") == 1
    assert count(metrics, "breaker_state", name="store", state="half_open") == 0
    with pytest.raises(BreakerOpen) as rejected:
        breaker.admit()
    assert rejected.value.retry_after_s == pytest.approx(2 * SPEC.open_s)


async def test_it_was_open_since_the_trial_hung_even_if_nobody_looked(breaker: Breaker) -> None:
    fail(breaker, 20)
    await trio.sleep(SPEC.open_s)
    hung = breaker.admit()
    await trio.sleep(SPEC.half_open_s + 2 * SPEC.open_s)
    assert state_of(breaker) is BreakerState.HALF_OPEN
    hung.failed()
    assert state_of(breaker) is BreakerState.HALF_OPEN


async def test_a_rejection_says_when_to_come_back(breaker: Breaker) -> None:
    """Clause P2."""
    fail(breaker, 20)
    await trio.sleep(3)
    with pytest.raises(BreakerOpen) as rejected:
        breaker.admit()
    assert rejected.value.retry_after_s == pytest.approx(2)
    assert breaker.statistics().retry_after_s == pytest.approx(2)
    await trio.sleep(2)
    for _ in range(3):
        breaker.admit()
    with pytest.raises(BreakerOpen, match="others are trying it") as rejected:
        breaker.admit()
    assert rejected.value.retry_after_s == 1.0
    assert breaker.statistics().rejected == 2


async def test_forced_open_it_rejects_until_it_is_lifted(breaker: Breaker) -> None:
    """Clause P10."""
    breaker.force(ForcedState.OPEN)
    assert state_of(breaker) is BreakerState.FORCED_OPEN
    await trio.sleep(1_000)
    with pytest.raises(BreakerOpen, match="switched off"):
        breaker.admit()
    breaker.force(None)
    assert breaker.forced is None
    succeed(breaker, 1)
    assert state_of(breaker) is BreakerState.CLOSED


async def test_with_metrics_only_it_counts_and_never_opens(
    breaker: Breaker, metrics: Metrics
) -> None:
    """Clause P10."""
    breaker.force(ForcedState.METRICS_ONLY)
    fail(breaker, 100)
    assert state_of(breaker) is BreakerState.METRICS_ONLY
    assert breaker.statistics().failures == 100
    assert count(metrics, "breaker_calls_total", name="store", outcome="failure") == 100
    breaker.force(None)
    fail(breaker, 19)
    assert state_of(breaker) is BreakerState.CLOSED


async def test_disabled_it_lets_everything_through_and_judges_nothing(breaker: Breaker) -> None:
    """Clause P10."""
    fail(breaker, 20)
    breaker.force(ForcedState.DISABLED)
    fail(breaker, 100)
    assert state_of(breaker) is BreakerState.DISABLED
    assert breaker.statistics().calls == 0


async def test_lifting_nothing_changes_nothing(breaker: Breaker) -> None:
    fail(breaker, 20)
    breaker.force(None)
    assert state_of(breaker) is BreakerState.OPEN
