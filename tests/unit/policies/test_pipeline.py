"""The pipeline: its order, what counts against a dependency, and the registry."""

from collections.abc import MutableMapping
from random import Random
from typing import Any

import pytest
import trio
import trio.testing

from runtime.policies import (
    REFUSED,
    BreakerOpen,
    BreakerSpec,
    BreakerState,
    BulkheadFull,
    BulkheadSpec,
    ChaosForbidden,
    ChaosInjected,
    ChaosSpec,
    DeadlineExceeded,
    Effect,
    Fault,
    ForcedState,
    Pipeline,
    PipelineSpec,
    Policies,
    RateLimited,
    RetrySpec,
    Transition,
    time_limit,
)
from runtime.telemetry import Metrics
from tests.unit.policies.helpers import Down, Leaf, count, dead, pipeline
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

NO_RETRY = RetrySpec(attempts_max=1)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def state(guarded: Pipeline) -> BreakerState:
    assert guarded.breaker is not None
    return guarded.breaker.state


async def test_an_answer_comes_through_and_counts() -> None:
    guarded = pipeline()
    assert await guarded.call(Leaf()) == "answer"
    statistics = guarded.statistics()
    assert statistics.name == "leaf"
    assert statistics.breaker is not None
    assert (statistics.breaker.calls, statistics.breaker.failures) == (1, 0)
    assert statistics.bulkhead is not None
    assert statistics.bulkhead.in_use == 0
    assert statistics.retry is not None
    assert statistics.retry.calls == 1


async def test_a_pipeline_may_go_without_any_policy() -> None:
    spec = PipelineSpec(deadline_s=None, attempt_s=None, retry=None, breaker=None, bulkhead=None)
    bare = Pipeline("leaf", spec, Random(1))
    with time_limit("caller", 1.0):
        assert await bare.call(Leaf()) == "answer"
        with pytest.raises(Down):
            await bare.call(dead())
    with pytest.raises(DeadlineExceeded), time_limit("caller", 0.5):
        await bare.call(Leaf(takes_s=1))
    statistics = bare.statistics()
    assert (statistics.breaker, statistics.bulkhead, statistics.retry) == (None, None, None)


async def test_an_open_breaker_lets_no_call_out(metrics: Metrics) -> None:
    """Clause P2."""
    guarded = pipeline(metrics=metrics.policies, retry=NO_RETRY)
    leaf = dead()
    for _ in range(20):
        with pytest.raises(Down):
            await guarded.call(leaf)
    for _ in range(10):
        with pytest.raises(BreakerOpen) as rejected:
            await guarded.call(leaf)
        assert rejected.value.retry_after_s == pytest.approx(5)
    assert leaf.calls == 20
    assert count(metrics, "breaker_calls_total", name="leaf", outcome="rejected") == 10


async def test_every_attempt_counts_and_retries_stop_when_the_breaker_opens() -> None:
    guarded = pipeline(retry=RetrySpec(budget_min=1_000, base_s=0.001))
    leaf = dead()
    for _ in range(6):
        with pytest.raises(Down):
            await guarded.call(leaf, repeatable=True)
    with pytest.raises(Down) as raised:
        await guarded.call(leaf, repeatable=True)
    assert isinstance(raised.value.__cause__, BreakerOpen)
    assert leaf.calls == 20


async def test_a_full_bulkhead_is_no_failure_of_the_dependency() -> None:
    """Clause P4."""
    guarded = pipeline(retry=NO_RETRY, bulkhead=BulkheadSpec(running=1, waiting=0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(guarded.call, Leaf(takes_s=0.5))
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(100):
            with pytest.raises(BulkheadFull):
                await guarded.call(Leaf())
    assert state(guarded) is BreakerState.CLOSED
    assert guarded.breaker is not None
    assert guarded.breaker.statistics().failures == 0


async def test_waiting_for_a_permit_is_not_slowness_of_the_dependency() -> None:
    """Clause P4."""
    guarded = pipeline(
        breaker=BreakerSpec(calls_min=1, slow_s=0.15),
        bulkhead=BulkheadSpec(running=1, wait_s=10),
    )
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(guarded.call, Leaf(takes_s=0.1))
    assert state(guarded) is BreakerState.CLOSED


async def test_slow_answers_open_the_breaker() -> None:
    guarded = pipeline(breaker=BreakerSpec(slow_s=0.5))
    for _ in range(10):
        await guarded.call(Leaf(takes_s=0.4))
        await guarded.call(Leaf(takes_s=0.5))
    assert state(guarded) is BreakerState.OPEN


async def test_a_call_that_is_known_to_take_long_may_and_is_not_slow() -> None:
    guarded = pipeline(breaker=BreakerSpec(calls_min=1, slow_s=0.5))
    assert await guarded.call(Leaf(takes_s=60), limit_s=100) == "answer"
    assert state(guarded) is BreakerState.CLOSED
    with pytest.raises(DeadlineExceeded):
        await guarded.call(Leaf(takes_s=60), limit_s=10)
    assert state(guarded) is BreakerState.OPEN


async def test_a_call_with_a_place_of_its_own_does_not_wait_for_one() -> None:
    guarded = pipeline(bulkhead=BulkheadSpec(running=1, waiting=0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(guarded.call, Leaf(takes_s=0.5))
        await trio.testing.wait_all_tasks_blocked()
        assert await guarded.call(Leaf(), counted=False) == "answer"


async def test_a_caller_that_gives_up_is_no_failure() -> None:
    """Clause P4."""
    guarded = pipeline(retry=NO_RETRY)
    for _ in range(50):
        with trio.move_on_after(0.1):
            await guarded.call(Leaf(takes_s=0.5))
    assert state(guarded) is BreakerState.CLOSED
    assert guarded.breaker is not None
    assert guarded.breaker.statistics().calls == 0


async def test_a_refusal_is_a_success() -> None:
    """Clause P4."""
    guarded = pipeline(judge=lambda _: REFUSED)
    for _ in range(50):
        with pytest.raises(Down):
            await guarded.call(dead())
    assert state(guarded) is BreakerState.CLOSED
    assert guarded.breaker is not None
    assert guarded.breaker.statistics().calls == 50


async def test_rejections_further_down_are_no_failures_here() -> None:
    """Clause P4."""
    outer, inner = pipeline("outer"), pipeline("inner")
    assert inner.breaker is not None
    inner.breaker.force(ForcedState.OPEN)
    for _ in range(50):
        with pytest.raises(BreakerOpen):
            await outer.call(lambda: inner.call(Leaf()), repeatable=True)
    assert state(outer) is BreakerState.CLOSED


async def test_a_timed_out_attempt_keeps_its_permit_while_it_still_runs() -> None:
    """Clause P8."""
    guarded = pipeline(attempt_s=0.5, retry=NO_RETRY, bulkhead=BulkheadSpec(running=1, waiting=0))
    gone = trio.Event()

    async def stubborn() -> None:
        try:
            await trio.sleep(60)
        finally:
            with trio.CancelScope(shield=True):
                await gone.wait()

    async def expect_deadline() -> None:
        with pytest.raises(DeadlineExceeded):
            await guarded.call(stubborn)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect_deadline)
        await trio.sleep(2)
        with pytest.raises(BulkheadFull):
            await guarded.call(Leaf())
        gone.set()
    assert await guarded.call(Leaf()) == "answer"


class Gate:
    """An admission that lets in `room` calls, and remembers how they ended."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.ended: list[tuple[Effect, float]] = []

    async def admit(self, share: str | None) -> Any:
        if not self.room:
            raise RateLimited("gate", f"no room for {share}", retry_after_s=2.0)
        self.room -= 1
        return lambda effect, took_s: self.ended.append((effect, took_s))


async def test_admissions_come_before_everything_and_hear_how_calls_ended() -> None:
    gate, later = Gate(4), Gate(3)
    guarded = Pipeline("leaf", PipelineSpec(), Random(1), admissions=(gate, later))
    await guarded.call(Leaf(takes_s=0.5))
    with pytest.raises(Down):
        await guarded.call(dead(), repeatable=True)
    with trio.move_on_after(0.1):
        await guarded.call(Leaf(takes_s=0.5))
    leaf = Leaf()
    with pytest.raises(RateLimited) as limited:
        await guarded.answer("k", leaf, share="m")
    assert limited.value.retry_after_s == 2.0
    assert leaf.calls == 0
    effects = [effect for effect, _ in gate.ended]
    assert effects == [Effect.SUCCESS, Effect.FAILURE, Effect.IGNORED, Effect.IGNORED]
    assert gate.ended[0][1] == pytest.approx(0.5)
    assert len(later.ended) == 3


async def test_the_time_an_admission_takes_is_part_of_the_deadline() -> None:
    class Slow(Gate):
        async def admit(self, share: str | None) -> Any:
            await trio.sleep(0.6)

    guarded = Pipeline(
        "leaf", PipelineSpec(deadline_s=1.0, retry=None), Random(1), admissions=(Slow(1),)
    )
    started = trio.current_time()
    with pytest.raises(DeadlineExceeded):
        await guarded.call(Leaf(takes_s=60))
    assert trio.current_time() - started == pytest.approx(1.0)
    assert guarded.breaker is not None
    assert guarded.breaker.statistics().failures == 1


# Chaos


@pytest.fixture
def policies(metrics: Metrics) -> Policies:
    policies = Policies(Random(1), metrics.policies, chaos_allowed=True)
    policies.declare("leaf", PipelineSpec(retry=None, breaker=BreakerSpec(jitter=0.0)))
    return policies


async def test_chaos_is_innermost_and_hits_its_share(policies: Policies, metrics: Metrics) -> None:
    """Clause P10."""
    policies.chaos("leaf", ChaosSpec(fault=Fault.ERROR, share=0.2))
    leaf, hit = Leaf(), 0
    for _ in range(500):
        try:
            await policies["leaf"].call(leaf)
        except ChaosInjected:
            hit += 1
    assert leaf.calls == 500 - hit
    assert 60 < hit < 140
    assert count(metrics, "chaos_injected_total", name="leaf", kind="error") == hit
    breaker = policies["leaf"].breaker
    assert breaker is not None
    assert breaker.statistics().failures == hit


async def test_chaos_delays_and_hangs_until_it_is_switched_off(policies: Policies) -> None:
    guarded = policies["leaf"]
    policies.chaos("leaf", ChaosSpec(fault=Fault.DELAY, delay_s=0.5, spread_s=0.1))
    took = []
    for _ in range(20):
        started = trio.current_time()
        await guarded.call(Leaf())
        took.append(trio.current_time() - started)
    assert 0.4 <= min(took) < max(took) <= 0.6
    policies.chaos("leaf", ChaosSpec(fault=Fault.HANG))
    with pytest.raises(DeadlineExceeded):
        await guarded.call(Leaf())
    assert policies.statistics()[0].chaos == ChaosSpec(fault=Fault.HANG)
    policies.chaos("leaf", None)
    assert await guarded.call(Leaf()) == "answer"


async def test_chaos_is_the_same_for_the_same_seed() -> None:
    async def run(seed: int) -> list[bool]:
        policies = Policies(Random(seed), chaos_allowed=True)
        guarded = policies.declare("leaf", PipelineSpec(retry=None, breaker=None))
        policies.chaos("leaf", ChaosSpec(fault=Fault.ERROR, share=0.5))
        hits = []
        for _ in range(50):
            try:
                await guarded.call(Leaf())
                hits.append(False)
            except ChaosInjected:
                hits.append(True)
        return hits

    assert await run(7) == await run(7)
    assert await run(7) != await run(8)


async def test_chaos_is_refused_where_it_is_not_allowed() -> None:
    """Clause P10."""
    policies = Policies(Random(1))
    policies.declare("leaf", PipelineSpec())
    with pytest.raises(ChaosForbidden):
        policies.chaos("leaf", ChaosSpec(fault=Fault.HANG))
    policies.chaos("leaf", None)
    assert await policies["leaf"].call(Leaf()) == "answer"


# The registry


async def test_the_registry_knows_its_pipelines(policies: Policies) -> None:
    policies.declare_all({"mail": PipelineSpec(breaker=None)})
    assert policies.names() == ("leaf", "mail")
    assert "mail" in policies
    assert "sms" not in policies
    with pytest.raises(KeyError):
        policies["sms"]
    with pytest.raises(ValueError, match="mail has a pipeline already"):
        policies.declare("mail", PipelineSpec())
    with pytest.raises(ValueError, match="mail has no breaker"):
        policies.force("mail", ForcedState.OPEN)
    assert [each.name for each in policies.statistics()] == ["leaf", "mail"]


async def test_transitions_are_told_once(
    policies: Policies, metrics: Metrics, logs: list[MutableMapping[str, Any]]
) -> None:
    """Clause P4."""
    seen: list[Transition] = []
    policies.subscribe(seen.append)
    for _ in range(20):
        with pytest.raises(Down):
            await policies["leaf"].call(dead())
    for _ in range(3):
        with pytest.raises(BreakerOpen):
            await policies["leaf"].call(dead())
    policies.force("leaf", ForcedState.DISABLED)
    policies.force("leaf", ForcedState.DISABLED)
    policies.force("leaf", None)
    policies.force("leaf", None)
    moves = [(move.before.value, move.state.value) for move in seen]
    assert moves == [("closed", "open"), ("open", "disabled"), ("disabled", "closed")]
    assert [move.name for move in seen] == ["leaf"] * 3
    assert [log["event"] for log in logs] == ["breaker_moved"] * 3
    labels = {"name": "leaf", "from": "closed", "to": "open"}
    assert count(metrics, "breaker_transitions_total", **labels) == 1
