"""A pipeline: the policies of one dependency around a call, in their order.

Outermost first: deadline, admissions (load shedding, rate limit), fallback, retry with budget,
breaker, bulkhead, attempt timeout, chaos injector, call. They are composed into two functions
with one cancel scope an attempt, because scopes are what a pipeline costs.
"""

from collections.abc import Awaitable, Callable, Sequence
from math import inf
from random import Random
from typing import TypeVar

import attrs
import trio
from trio.lowlevel import checkpoint

from runtime.context import Ambient, current
from runtime.errors import Outcome
from runtime.parking import monotonic
from runtime.policies.breaker import (
    UNGUARDED,
    Breaker,
    BreakerState,
    BreakerStatistics,
    Permit,
    Transition,
)
from runtime.policies.bulkhead import Bulkhead, BulkheadStatistics
from runtime.policies.chaos import Chaos, Injected
from runtime.policies.deadline import narrowed, require_deadline
from runtime.policies.errors import DeadlineExceeded
from runtime.policies.fallback import Answer, Fallback, FallbackStatistics
from runtime.policies.judging import Doubt, Effect, judged
from runtime.policies.metrics import PolicyMetrics
from runtime.policies.retry import Retry, RetryLayer, RetryStatistics
from runtime.policies.spec import Admission, Ended, PipelineSpec

Result = TypeVar("Result")
Work = Callable[[], Awaitable[Result]]


@attrs.frozen
class PipelineStatistics:
    """Of each policy that there is."""

    name: str
    deadline_s: float | None
    attempt_s: float | None
    breaker: BreakerStatistics | None
    bulkhead: BulkheadStatistics | None
    retry: RetryStatistics | None
    fallback: FallbackStatistics
    chaos: Injected


@attrs.define(eq=False)
class Run:
    """One call on its way. `deadline` is the sooner of its own and the one in force around it."""

    repeatable: bool
    share: str | None
    own_deadline: float
    attempt_s: float
    slow_s: float
    bulkhead: Bulkhead | None
    deadline: float = inf
    ambient: Ambient | None = None
    layer: RetryLayer | None = None


class Pipeline:
    """Every call of one dependency goes through it."""

    def __init__(
        self,
        name: str,
        spec: PipelineSpec,
        random: Random,
        metrics: PolicyMetrics | None = None,
        *,
        admissions: Sequence[Admission] = (),
        chaos_allowed: bool = False,
        on_transition: Callable[[Transition], object] | None = None,
    ) -> None:
        metrics = metrics if metrics is not None else PolicyMetrics()
        self.name = name
        self.spec = spec
        self.admissions = tuple(admissions)
        self._metrics = metrics
        self._limit_s = spec.deadline_s if spec.deadline_s is not None else inf
        self._attempt_s = spec.attempt_s if spec.attempt_s is not None else inf
        self._needs_s = spec.retry.needs_s if spec.retry is not None else 0.0
        self._slow_s = spec.breaker.slow_s if spec.breaker is not None else inf
        self._retry = (
            Retry(name, spec.retry, random, metrics, spec.judge)
            if spec.retry is not None and spec.retry.attempts_max > 1
            else None
        )
        self.breaker = (
            Breaker(name, spec.breaker, random, metrics, on_transition)
            if spec.breaker is not None
            else None
        )
        self.bulkhead = (
            Bulkhead(name, spec.bulkhead, metrics) if spec.bulkhead is not None else None
        )
        self.fallback = Fallback(name, spec.fallback, metrics, spec.judge)
        self.chaos = Chaos(name, random, metrics, allowed=chaos_allowed)

    @property
    def undisturbed(self) -> bool:
        """Whether a call would be let through at once, with no fault made on purpose."""
        breaker = self.breaker
        closed = breaker is None or breaker.state is BreakerState.CLOSED
        return closed and self.chaos.spec is None and not self.admissions

    async def call(
        self,
        function: Work[Result],
        *,
        repeatable: bool = False,
        share: str | None = None,
        limit_s: float | None = None,
        counted: bool = True,
    ) -> Result:
        """What `function` returns; its error, or a `PolicyError`, of the last attempt, or of the
        last that may have happened, unless a later one was refused; then the last is its cause.

        What is not `repeatable` is attempted again only when it is known not to have happened.
        Of `share` (a merchant, say) no more than its part runs while others wait. A call that is
        known to take long has `limit_s` in place of the declared times. One that is not `counted`
        takes no place in the bulkhead, because it has one of its own. Cancelled, it ends with its
        attempt, and says nothing about the dependency. Only `answer` takes a fallback.
        """
        run = self._run_of(repeatable, share)
        if limit_s is not None:
            run.own_deadline, run.attempt_s, run.slow_s = monotonic() + limit_s, inf, inf
        if not counted:
            run.bulkhead = None
        if not self.admissions:
            return await self._call(function, run)
        return await self._admitted(lambda: self._call(function, run), run)

    async def answer(
        self,
        key: str,
        function: Work[Result],
        *,
        instead: Callable[[], Result] | None = None,
        repeatable: bool = True,
        share: str | None = None,
    ) -> Answer[Result]:
        """As `call`, with the declared fallback: see `Fallback.call`.

        One call serves all who ask for `key` at the same time.
        """

        run = self._run_of(repeatable, share)

        async def answered() -> Answer[Result]:
            return await self.fallback.call(
                key,
                lambda: self._call(function, self._run_of(repeatable, share)),
                instead,
                limit_s=run.own_deadline - monotonic(),
            )

        if not self.admissions:
            return await answered()
        return await self._admitted(answered, run)

    def _run_of(self, repeatable: bool, share: str | None) -> Run:
        deadline = monotonic() + self._limit_s
        return Run(repeatable, share, deadline, self._attempt_s, self._slow_s, self.bulkhead)

    async def _admitted(self, work: Work[Result], run: Run) -> Result:
        """The work, if all admissions let it in; they see the deadline, and then how it ended."""
        ambient, started, effect = current.get(), monotonic(), Effect.IGNORED
        deadline = run.own_deadline
        if ambient is not None:
            deadline = min(deadline, ambient.deadline)
        ends: list[Ended] = []
        token = current.set(narrowed(ambient, deadline))
        try:
            for admission in self.admissions:
                end = await admission.admit(run.share)
                if end is not None:
                    ends.append(end)
            result = await work()
            effect = Effect.SUCCESS
            return result
        except Exception as error:
            effect = judged(error, self.spec.judge).effect
            raise
        finally:
            current.reset(token)
            took_s = monotonic() - started
            for end in ends:
                end(effect, took_s)

    async def _call(self, function: Work[Result], run: Run) -> Result:
        ambient = run.ambient = current.get()
        deadline = run.own_deadline
        if ambient is not None and ambient.deadline < deadline:
            deadline = ambient.deadline
        if deadline == inf:
            require_deadline(self.name)
        run.deadline = deadline
        retry = self._retry
        if retry is None:
            return await self._attempt(function, run)
        layer = run.layer = RetryLayer(ambient.retries if ambient is not None else None)
        retry.count_call()
        doubt: Doubt | None = None
        number = 1
        while True:
            try:
                return await self._attempt(function, run)
            except Exception as error:
                judgement = judged(error, self.spec.judge)
                doubt = doubt if doubt is not None else Doubt()
                last = doubt.told(error, judgement)
                pause_s = retry.pause_s(error, judgement, number, layer, run.repeatable, deadline)
                if pause_s is None:
                    if last is not error:
                        raise last from error
                    raise
            number += 1
            await trio.sleep(pause_s)

    async def _attempt(self, function: Work[Result], run: Run) -> Result:
        breaker, bulkhead, share = self.breaker, run.bulkhead, run.share
        if monotonic() + self._needs_s >= run.deadline:
            await checkpoint()
            raise self._out_of_time("start", Outcome.NOT_DELIVERED)
        permit = breaker.admit() if breaker is not None else UNGUARDED
        if bulkhead is None:
            return await self._run(function, run, permit)
        try:
            if not bulkhead.try_acquire(share):
                await bulkhead.acquire(share, run.deadline)
        except BaseException:
            permit.abandoned()
            raise
        try:
            return await self._run(function, run, permit)
        finally:
            bulkhead.release(share)

    async def _run(self, function: Work[Result], run: Run, permit: Permit) -> Result:
        started = monotonic()
        limit = started + run.attempt_s
        ours = limit <= run.deadline or run.deadline == run.own_deadline
        limit = min(limit, run.deadline)
        token = current.set(narrowed(run.ambient, limit, run.layer))
        try:
            with trio.CancelScope(deadline=limit):
                if self.chaos.spec is not None:
                    await self.chaos.strike()
                result = await function()
                permit.succeeded(slow=monotonic() - started >= run.slow_s)
                return result
        except Exception as error:
            self._record(error, permit, slow=monotonic() - started >= run.slow_s)
            raise
        except BaseException:
            # Cancelled from outside, perhaps at the same moment as our own limit passed.
            _record_cut_off(permit, limit, started + run.slow_s, ours)
            raise
        finally:
            current.reset(token)
        _record_cut_off(permit, limit, started + run.slow_s, ours)
        raise self._out_of_time("attempt", Outcome.UNKNOWN)

    def _record(self, error: Exception, permit: Permit, *, slow: bool) -> None:
        match judged(error, self.spec.judge).effect:
            case Effect.SUCCESS:
                permit.succeeded(slow=slow)
            case Effect.FAILURE:
                permit.failed(slow=slow)
            case Effect.IGNORED:
                permit.abandoned()

    def _out_of_time(self, stage: str, outcome: Outcome) -> DeadlineExceeded:
        self._metrics.deadline_exceeded(f"{self.name}.{stage}")
        return DeadlineExceeded(self.name, stage, outcome=outcome)

    def statistics(self) -> PipelineStatistics:
        return PipelineStatistics(
            self.name,
            self.spec.deadline_s,
            self.spec.attempt_s,
            self.breaker.statistics() if self.breaker is not None else None,
            self.bulkhead.statistics() if self.bulkhead is not None else None,
            self._retry.statistics() if self._retry is not None else None,
            self.fallback.statistics(),
            self.chaos.spec,
        )


def _record_cut_off(permit: Permit, limit: float, slow_at: float, ours: bool) -> None:
    """A failure where our own limit ended it, or where it had been slow already; a caller with
    less patience than that says nothing about the dependency."""
    now = monotonic()
    if now >= limit and (ours or now >= slow_at):
        permit.failed(slow=now >= slow_at)
    else:
        permit.abandoned()
