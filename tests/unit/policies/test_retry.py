"""Retry: jitter, budget, one layer, and what is never repeated."""

from random import Random

import pytest
import trio

from runtime import Actor, ActorSystem, Call, ChildSpec, Outcome, Supervisor, request_context
from runtime.policies import (
    FAILED,
    IGNORED,
    NOT_DELIVERED,
    REFUSED,
    UNDONE,
    DeadlineExceeded,
    Judgement,
    Retry,
    RetrySpec,
)
from runtime.telemetry import Metrics
from tests.unit.policies.helpers import Down, Leaf, count, dead, pipeline
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

PATIENT = RetrySpec(budget_min=10_000)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


async def call(retry: Retry, leaf: Leaf, *, repeatable: bool = True, within_s: float = 60) -> str:
    with request_context(deadline=trio.current_time() + within_s):
        return await retry.call(leaf, repeatable=repeatable)


async def test_a_call_is_attempted_three_times(metrics: Metrics) -> None:
    leaf = dead()
    with pytest.raises(Down):
        await call(Retry("leaf", RetrySpec(), Random(1), metrics.policies), leaf)
    assert leaf.calls == 3
    assert count(metrics, "retries_total", name="leaf", reason="failed") == 2


async def test_a_success_ends_it() -> None:
    leaf = Leaf()
    assert await call(Retry("leaf", RetrySpec(), Random(1)), leaf) == "answer"
    assert leaf.calls == 1


async def test_pauses_are_even_between_nothing_and_a_bound_that_doubles_up_to_the_cap() -> None:
    """Clause P5."""
    spec = RetrySpec(attempts_max=9, base_s=0.05, cap_s=2.0, budget_min=10_000)
    retry = Retry("leaf", spec, Random(1))
    pauses: list[list[float]] = [[] for _ in range(8)]
    for _ in range(250):
        leaf = dead()
        with pytest.raises(Down):
            await call(retry, leaf)
        for number in range(8):
            pauses[number].append(leaf.started_at[number + 1] - leaf.started_at[number])
    for number, drawn in enumerate(pauses):
        bound = min(2.0, 0.05 * 2**number)
        assert 0 <= min(drawn) < 0.05 * bound
        assert 0.95 * bound < max(drawn) <= bound + 1e-9
        assert sum(drawn) / len(drawn) == pytest.approx(bound / 2, rel=0.1)
        quarters = [sum(pause * 4 // bound == quarter for pause in drawn) for quarter in range(4)]
        assert min(quarters) > 35


async def test_under_total_failure_the_load_grows_by_a_fifth_at_most() -> None:
    """Clause P6. 200 calls a second for 10 s, without a breaker that would help."""
    retry = Retry("leaf", RetrySpec(), Random(1))
    leaf = dead()

    async def attempt() -> None:
        with pytest.raises(Down):
            await call(retry, leaf)

    async with trio.open_nursery() as nursery:
        for _ in range(2_000):
            nursery.start_soon(attempt)
            await trio.sleep(0.005)
    assert 2_000 < leaf.calls <= 1.2 * 2_000


async def test_few_calls_may_be_retried_all_the_same(metrics: Metrics) -> None:
    """Clause P6."""
    retry = Retry("leaf", RetrySpec(attempts_max=9), Random(1), metrics.policies)
    leaf = dead()
    with pytest.raises(Down):
        await call(retry, leaf)
    assert leaf.calls == 1 + 3
    assert count(metrics, "retry_budget_exhausted_total", name="leaf") == 1
    statistics = retry.statistics()
    assert (statistics.calls, statistics.retries, statistics.denied) == (1, 3, 1)
    await trio.sleep(10)
    with pytest.raises(Down):
        await call(retry, leaf)
    assert leaf.calls == 2 * (1 + 3)


async def test_what_is_not_repeatable_is_not_repeated() -> None:
    """Clause P5."""
    leaf = dead()
    with pytest.raises(Down):
        await call(Retry("leaf", RetrySpec(), Random(1)), leaf, repeatable=False)
    assert leaf.calls == 1


@pytest.mark.parametrize(("judgement", "calls"), [(NOT_DELIVERED, 3), (UNDONE, 3)])
async def test_what_is_known_not_to_have_happened_is_repeated_in_any_case(
    judgement: Judgement, calls: int
) -> None:
    """Clause P5."""
    leaf = dead()
    with pytest.raises(Down):
        await call(
            Retry("leaf", RetrySpec(), Random(1), judge=lambda _: judgement),
            leaf,
            repeatable=False,
        )
    assert leaf.calls == calls


@pytest.mark.parametrize("judgement", [REFUSED, IGNORED])
async def test_a_refusal_is_not_repeated(judgement: Judgement) -> None:
    """Clause P5."""
    leaf = dead()
    with pytest.raises(Down):
        await call(Retry("leaf", RetrySpec(), Random(1), judge=lambda _: judgement), leaf)
    assert leaf.calls == 1


class Unknown(Down):
    outcome = Outcome.UNKNOWN


class NotDone(Down):
    outcome = Outcome.NOT_DELIVERED


JUDGEMENTS = {Unknown: FAILED, NotDone: IGNORED, Down: FAILED, ValueError: REFUSED}


@pytest.mark.parametrize("composed", [False, True], ids=["alone", "in a pipeline"])
@pytest.mark.parametrize(
    ("attempts", "told"),
    [
        ((Unknown(), NotDone()), 0),
        ((Down(), NotDone()), 0),
        ((Unknown(), Unknown(), NotDone()), 1),
        ((Unknown(), Unknown(), Down()), 2),
        ((Unknown(), ValueError("no")), 1),
        ((NotDone(),), 0),
    ],
    ids=["not sent", "not sent, by the judge", "twice open", "never known", "refused", "at once"],
)
async def test_an_attempt_that_did_not_happen_says_nothing_of_those_before(
    attempts: tuple[Exception, ...], told: int, composed: bool
) -> None:
    """Clause P5."""

    def judge(error: Exception) -> Judgement:
        return JUDGEMENTS[type(error)]

    left = list(attempts)

    async def leaf() -> str:
        raise left.pop(0)

    repeating = Retry("leaf", RetrySpec(), Random(1), judge=judge)
    guarded = pipeline(retry=RetrySpec(), judge=judge)
    call = guarded.call if composed else repeating.call
    with (
        request_context(deadline=trio.current_time() + 60),
        pytest.raises((Down, ValueError)) as raised,
    ):
        await call(leaf, repeatable=True)
    assert raised.value is attempts[told]
    assert left == []


class Busy(Down):
    """Says when to come back."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("busy")
        self.retry_after_s = retry_after_s


async def test_a_retry_after_is_kept_to() -> None:
    """Clause P5."""
    leaf = Leaf(error=lambda: Busy(1.5))
    with pytest.raises(Busy):
        await call(Retry("leaf", PATIENT, Random(1)), leaf)
    pauses = [b - a for a, b in zip(leaf.started_at, leaf.started_at[1:], strict=False)]
    assert pauses == pytest.approx([1.5, 1.5])


async def test_a_retry_after_beyond_the_cap_ends_it() -> None:
    """Clause P5."""
    leaf = Leaf(error=lambda: Busy(30))
    with pytest.raises(Busy):
        await call(Retry("leaf", PATIENT, Random(1)), leaf)
    assert leaf.calls == 1


async def test_no_attempt_begins_with_less_time_left_than_it_needs() -> None:
    """Clause P1."""
    leaf = Leaf(error=lambda: Busy(1.0))
    retry = Retry("leaf", RetrySpec(needs_s=0.5), Random(1))
    with pytest.raises(Busy):
        await call(retry, leaf, within_s=1.4)
    assert leaf.calls == 1
    with pytest.raises(Busy):
        await call(retry, leaf, within_s=1.6)
    assert leaf.calls == 1 + 2


async def test_a_pipeline_does_not_even_begin_without_the_time_it_needs() -> None:
    leaf = Leaf()
    guarded = pipeline(retry=RetrySpec(needs_s=0.5))
    with (
        request_context(deadline=trio.current_time() + 0.4),
        pytest.raises(DeadlineExceeded) as late,
    ):
        await guarded.call(leaf)
    assert (late.value.stage, late.value.outcome) == ("start", Outcome.NOT_DELIVERED)
    assert leaf.calls == 0


async def test_three_layers_over_a_dead_leaf_make_three_attempts() -> None:
    """Clause P7."""
    outer, middle, inner = (
        pipeline(name, retry=PATIENT, breaker=None, deadline_s=60.0, attempt_s=20.0)
        for name in ("outer", "middle", "inner")
    )
    leaf = dead()

    async def in_the_middle() -> str:
        return await inner.call(leaf, repeatable=True)

    async def outside() -> str:
        return await middle.call(in_the_middle, repeatable=True)

    with pytest.raises(Down):
        await outer.call(outside, repeatable=True)
    assert leaf.calls == 3


async def test_layers_over_a_leaf_that_hangs_make_three_attempts() -> None:
    """Clause P7. The outer attempt ends in the midst of the inner retries, and starts none anew."""
    outer = pipeline("outer", retry=PATIENT, breaker=None, deadline_s=60.0, attempt_s=1.5)
    inner = pipeline("inner", retry=PATIENT, breaker=None, deadline_s=60.0, attempt_s=1.0)
    leaf = Leaf(takes_s=100)
    with pytest.raises(DeadlineExceeded):
        await outer.call(lambda: inner.call(leaf, repeatable=True), repeatable=True)
    assert leaf.calls == 2


async def test_the_outer_layer_retries_where_the_inner_one_does_not() -> None:
    """Clause P7."""
    outer = pipeline("outer", retry=PATIENT, breaker=None, deadline_s=60.0)
    inner = pipeline("inner", retry=PATIENT, breaker=None, deadline_s=60.0)
    leaf = dead()
    with pytest.raises(Down):
        await outer.call(lambda: inner.call(leaf), repeatable=True)
    assert leaf.calls == 3


async def test_calls_one_after_the_other_are_retried_each() -> None:
    outer = pipeline("outer", retry=PATIENT, breaker=None, deadline_s=60.0, attempt_s=50.0)
    inner = pipeline("inner", retry=PATIENT, breaker=None, deadline_s=60.0)
    leaf = dead()

    async def two_calls() -> None:
        for _ in range(2):
            with pytest.raises(Down):
                await inner.call(leaf, repeatable=True)

    await outer.call(two_calls, repeatable=True)
    assert leaf.calls == 6


class Fetch(Call[str]):
    """To `Domain`."""


class Domain(Actor):
    """Asks a dead leaf for each message."""

    passes_on = (Down,)

    def __init__(self, leaf: Leaf) -> None:
        self._leaf = leaf
        self._inner = pipeline("inner", retry=PATIENT, breaker=None)

    async def receive(self, message: object) -> str:
        return await self._inner.call(self._leaf, repeatable=True)


async def test_layers_know_of_each_other_across_an_ask() -> None:
    """Clause P7."""
    leaf = dead()
    outer = pipeline("outer", retry=PATIENT, breaker=None)
    root = ChildSpec(
        "root",
        lambda: Supervisor((ChildSpec("domain", lambda: Domain(leaf), name="domain"),)),
    )
    async with ActorSystem().run(root) as system:
        with pytest.raises(Down):
            await outer.call(lambda: system.ref("domain").ask(Fetch()), repeatable=True)
    assert leaf.calls == 3


async def test_a_retry_that_is_cancelled_ends_at_once() -> None:
    leaf = Leaf(error=lambda: Busy(1.9))
    with trio.move_on_after(0.5) as scope:
        await call(Retry("leaf", RetrySpec(), Random(1)), leaf)
    assert scope.cancelled_caught
    assert leaf.calls == 1
