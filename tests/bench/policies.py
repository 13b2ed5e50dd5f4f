"""What a pipeline costs a call, and how fast an open breaker says no."""

from collections.abc import Awaitable, Callable
from random import Random
from statistics import median, quantiles
from time import perf_counter, process_time

import trio

from runtime.policies import BreakerOpen, ForcedState, Pipeline, PipelineSpec
from runtime.policies.gcra import LocalLimits
from runtime.policies.limits import per_minute
from tests.bench.harness import Figure, at_most, garbage_as_in_the_program, without_logs

CALLS = 20_000
ROUNDS = 5
OVERHEAD_MAX_US = 30.0
REJECTION_MAX_MS = 5.0
LIMITER_MAX_US = 10.0
CALLERS = 1_000
MERCHANT = "m"


def policies() -> list[Figure]:
    """A call of a function that does nothing, with all policies on, against the function alone."""
    with garbage_as_in_the_program():
        return trio.run(_measure)


async def _measure() -> list[Figure]:
    guarded = Pipeline("bench", PipelineSpec(), Random(1))
    rejecting = Pipeline("rejecting", PipelineSpec(), Random(1))
    assert rejecting.breaker is not None
    with without_logs():
        rejecting.breaker.force(ForcedState.OPEN)

    async def through() -> None:
        await guarded.call(_nothing, repeatable=True, share=MERCHANT)

    async def rejected() -> None:
        try:
            await rejecting.call(_nothing)
        except BreakerOpen:
            return
        raise AssertionError("it was let through")

    rounds = [[await _microseconds(work) for work in (through, _nothing)] for _ in range(ROUNDS)]
    overhead_us = median(ours - alone for ours, alone in rounds)
    rejection_ms = await _p999_ms(rejected)
    limiter_us = median(_limiter_us() for _ in range(ROUNDS))
    return [
        at_most("rate limiter in process, a call of one of many", limiter_us, "µs", LIMITER_MAX_US),
        at_most("pipeline overhead, every policy on", overhead_us, "µs", OVERHEAD_MAX_US),
        at_most("open breaker rejects, 99.9% within", rejection_ms, "ms", REJECTION_MAX_MS),
    ]


async def _nothing() -> None:
    pass


async def _microseconds(work: Callable[[], Awaitable[None]]) -> float:
    """Of the processor, for one call, on average: nothing in here waits."""
    started = process_time()
    for _ in range(CALLS):
        await work()
    return (process_time() - started) / CALLS * 1e6


def _limiter_us() -> float:
    """Of the processor, for one call of one of `CALLERS`, of which each is let through."""
    limits, limit = LocalLimits(Random(1)), per_minute(60_000)
    keys = [f"merchant:{number}" for number in range(CALLERS)]
    started = process_time()
    for number in range(CALLS):
        assert limits.take(keys[number % CALLERS], limit, 1, number * 100).allowed
    return (process_time() - started) / CALLS * 1e6


async def _p999_ms(work: Callable[[], Awaitable[None]]) -> float:
    took_s = []
    for _ in range(CALLS):
        started = perf_counter()
        await work()
        took_s.append(perf_counter() - started)
    return quantiles(took_s, n=1_000)[-1] * 1e3
