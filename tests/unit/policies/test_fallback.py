"""Fallbacks: what is declared, how old it may be, and one call for all who ask at once."""

import pytest
import trio
import trio.testing

from runtime.policies import (
    REFUSED,
    Answer,
    BreakerOpen,
    DeadlineExceeded,
    Fallback,
    FallbackKind,
    FallbackSpec,
    ForcedState,
    time_limit,
)
from runtime.telemetry import Metrics
from tests.unit.policies.helpers import Down, Leaf, count, dead, pipeline
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

CACHED = FallbackSpec(kind=FallbackKind.CACHED, max_age_s=60, keys_max=2)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


async def test_without_a_fallback_the_error_comes_through() -> None:
    fallback = Fallback("leaf", FallbackSpec())
    with pytest.raises(Down):
        await fallback.call("k", dead())


async def test_the_last_answer_stands_in_and_says_how_old_it_is(metrics: Metrics) -> None:
    """Clause P9."""
    fallback = Fallback("leaf", CACHED, metrics.policies)
    assert await fallback.call("k", Leaf()) == Answer("answer")
    await trio.sleep(59)
    answer = await fallback.call("k", dead())
    assert (answer.value, answer.degraded) == ("answer", True)
    assert answer.age_s == pytest.approx(59)
    assert count(metrics, "fallbacks_total", name="leaf", kind="cached") == 1
    statistics = fallback.statistics()
    assert (statistics.kept, statistics.in_flight, statistics.used) == (1, 0, 1)


async def test_past_its_maximum_age_an_answer_is_an_error() -> None:
    """Clause P9."""
    fallback = Fallback("leaf", CACHED)
    await fallback.call("k", Leaf())
    await trio.sleep(60.5)
    with pytest.raises(Down):
        await fallback.call("k", dead())


async def test_what_was_never_answered_cannot_stand_in() -> None:
    with pytest.raises(Down):
        await Fallback("leaf", CACHED).call("k", dead())


async def test_only_so_many_answers_are_kept() -> None:
    fallback = Fallback("leaf", CACHED)
    for key in "abc":
        await fallback.call(key, Leaf())
    with pytest.raises(Down):
        await fallback.call("a", dead())
    assert (await fallback.call("c", dead())).degraded


@pytest.mark.parametrize("kind", [FallbackKind.DEFAULT, FallbackKind.STUB])
async def test_a_value_of_the_caller_stands_in(kind: FallbackKind) -> None:
    fallback = Fallback("leaf", FallbackSpec(kind=kind))
    assert await fallback.call("k", dead(), lambda: "instead") == Answer("instead", degraded=True)
    with pytest.raises(ValueError, match=f"leaf: a {kind.value} fallback needs a value"):
        await fallback.call("k", dead())


async def test_what_the_dependency_answers_is_no_reason_to_fall_back() -> None:
    """Clause P9."""
    fallback = Fallback("leaf", CACHED, judge=lambda _: REFUSED)
    await fallback.call("k", Leaf())
    with pytest.raises(Down):
        await fallback.call("k", dead())


async def test_a_thousand_who_ask_at_the_same_time_cause_one_call() -> None:
    """Clause P9."""
    guarded = pipeline(fallback=CACHED)
    leaf = Leaf(takes_s=0.1)
    answers: list[Answer[str]] = []

    async def ask() -> None:
        answers.append(await guarded.answer("k", leaf))

    async with trio.open_nursery() as nursery:
        for _ in range(1_000):
            nursery.start_soon(ask)
    assert answers == [Answer("answer")] * 1_000
    assert leaf.calls == 1


async def test_who_gives_up_does_not_disturb_the_others() -> None:
    """Clause P9."""
    guarded = pipeline(fallback=CACHED)
    leaf = Leaf(takes_s=0.5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(guarded.answer, "k", leaf)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(DeadlineExceeded), time_limit("caller", 0.1):
            await guarded.answer("k", leaf)
    assert leaf.calls == 1


async def test_who_is_out_of_time_takes_what_there_is() -> None:
    """Clause P9."""
    guarded = pipeline(fallback=CACHED)
    await guarded.answer("k", Leaf())
    with time_limit("caller", 0.2):
        answer = await guarded.answer("k", Leaf(takes_s=0.8))
    assert answer.degraded


async def test_a_fallback_stands_in_for_what_the_policies_reject() -> None:
    """Clause P9."""
    guarded = pipeline(fallback=CACHED)
    await guarded.answer("k", Leaf())
    assert guarded.breaker is not None
    guarded.breaker.force(ForcedState.OPEN)
    leaf = Leaf()
    assert (await guarded.answer("k", leaf)).degraded
    assert leaf.calls == 0
    with pytest.raises(BreakerOpen):
        await guarded.call(leaf)


async def test_retries_come_before_the_fallback() -> None:
    guarded = pipeline(fallback=CACHED)
    await guarded.answer("k", Leaf())
    leaf = dead()
    assert (await guarded.answer("k", leaf)).degraded
    assert leaf.calls == 3
