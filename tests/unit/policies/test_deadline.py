"""Deadlines: narrowed, inherited, and demanded."""

from collections.abc import Iterator
from math import inf
from random import Random

import pytest
import trio

from runtime import Outcome, request_context
from runtime.context import current, time_left_s
from runtime.policies import (
    BreakerSpec,
    DeadlineExceeded,
    NoDeadline,
    Retry,
    RetrySpec,
    be_strict,
    require_deadline,
    time_limit,
)
from tests.unit.policies.helpers import Leaf, pipeline
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)


@pytest.fixture
def lenient() -> Iterator[None]:
    """As in production."""
    before = be_strict(False)
    yield
    be_strict(before)


@pytest.fixture
def strict() -> Iterator[None]:
    before = be_strict(True)
    yield
    be_strict(before)


async def test_a_limit_ends_the_block_and_says_where() -> None:
    """Clause P1."""
    with (
        pytest.raises(DeadlineExceeded, match=r"mail: out of time \(attempt\)") as late,
        time_limit("mail", 2.0),
    ):
        await trio.sleep(3)
    assert trio.current_time() == pytest.approx(2)
    assert (late.value.stage, late.value.outcome) == ("attempt", Outcome.UNKNOWN)


async def test_a_limit_narrows_the_deadline_in_force_and_never_widens_it() -> None:
    """Clause P1."""
    with request_context(deadline=trio.current_time() + 5, trace_id="t-1") as context:
        with time_limit("mail", 2.0) as deadline:
            assert deadline == trio.current_time() + 2
            assert time_left_s() == pytest.approx(2)
        with time_limit("mail", 9.0) as deadline:
            assert deadline == context.deadline
            inside = current.get()
            assert inside is not None
            assert inside.trace_id == "t-1"
        assert current.get() is context


async def test_nothing_begins_without_time_left() -> None:
    """Clause P1."""
    with (
        request_context(deadline=trio.current_time()),
        pytest.raises(DeadlineExceeded) as late,
        time_limit("mail", 1.0),
    ):
        raise AssertionError("it began")
    assert (late.value.stage, late.value.outcome) == ("start", Outcome.NOT_DELIVERED)


async def test_a_caller_that_gives_up_is_no_missed_deadline() -> None:
    with trio.move_on_after(1) as scope, time_limit("mail", 2.0):
        await trio.sleep(3)
    assert scope.cancelled_caught


@pytest.mark.usefixtures("strict")
async def test_a_call_that_nothing_would_end_is_a_mistake() -> None:
    """Clause P1."""
    with pytest.raises(NoDeadline, match="a call of mail has no deadline"):
        require_deadline("mail")
    endless = pipeline(deadline_s=None, attempt_s=None)
    leaf = Leaf()
    with pytest.raises(NoDeadline):
        await endless.call(leaf)
    with pytest.raises(NoDeadline):
        await Retry("leaf", RetrySpec(), Random(1)).call(leaf)
    assert leaf.calls == 0
    with time_limit("mail", 1.0) as deadline:
        assert require_deadline("mail") == deadline
        await endless.call(leaf)


@pytest.mark.usefixtures("lenient")
async def test_in_production_it_goes_on_without() -> None:
    assert require_deadline("mail") == inf
    assert await pipeline(deadline_s=None, attempt_s=None).call(Leaf()) == "answer"


async def test_a_pipeline_gives_its_deadline_to_what_it_calls() -> None:
    """Clause P1."""
    guarded = pipeline(deadline_s=3.0, attempt_s=0.9, retry=None)
    seen: list[float] = []

    async def look() -> None:
        seen.append(require_deadline("leaf") - trio.current_time())

    await guarded.call(look)
    with time_limit("outer", 0.5):
        await guarded.call(look)
    assert seen == pytest.approx([0.9, 0.5])


async def test_the_deadline_bounds_all_attempts_and_pauses_together() -> None:
    """Clause P1."""
    guarded = pipeline(deadline_s=2.0, attempt_s=0.9, breaker=None, retry=RetrySpec(base_s=0.001))
    leaf = Leaf(takes_s=60)
    started = trio.current_time()
    with pytest.raises(DeadlineExceeded):
        await guarded.call(leaf, repeatable=True)
    assert trio.current_time() - started <= 2.0
    assert leaf.calls == 3
    assert leaf.running == 0


async def test_our_own_deadline_counts_as_a_failure_and_an_impatient_caller_does_not() -> None:
    """Clause P4."""
    spec = BreakerSpec(calls_min=3, jitter=0.0, slow_s=0.5)
    guarded = pipeline(deadline_s=2.0, attempt_s=0.9, retry=None, breaker=spec)
    assert guarded.breaker is not None
    leaf = Leaf(takes_s=60)
    for _ in range(5):
        with pytest.raises(DeadlineExceeded), time_limit("caller", 0.1):
            await guarded.call(leaf)
        with trio.move_on_after(0.8):
            await guarded.call(leaf)
    assert guarded.breaker.statistics().calls == 0
    for _ in range(2):
        with pytest.raises(DeadlineExceeded):
            await guarded.call(leaf)
    # Patient enough for the call to be slow: that says something about the dependency.
    with pytest.raises(DeadlineExceeded), time_limit("caller", 0.6):
        await guarded.call(leaf)
    assert guarded.breaker.state.value == "open"


async def test_our_limit_and_the_callers_at_the_same_moment_count_as_ours() -> None:
    """Clause P4."""
    guarded = pipeline(deadline_s=1.0, attempt_s=1.0, retry=None)
    assert guarded.breaker is not None
    with trio.move_on_after(1.0):
        await guarded.call(Leaf(takes_s=60))
    assert guarded.breaker.statistics().failures == 1


async def test_what_shields_itself_is_waited_for_and_its_answer_taken() -> None:
    """Clause P1."""
    guarded = pipeline(deadline_s=1.0, attempt_s=1.0, retry=None)

    async def stubborn() -> str:
        with trio.CancelScope(shield=True):
            await trio.sleep(3)
        return "late"

    assert await guarded.call(stubborn) == "late"
    assert guarded.breaker is not None
    assert guarded.breaker.statistics().failures == 0
