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
from runtime.policies.breaker import UNGUARDED, Breaker, BreakerStatistics, Permit, Transition
from runtime.policies.bulkhead import Bulkhead, BulkheadStatistics
from runtime.policies.chaos import Chaos, Injected
from runtime.policies.deadline import narrowed, require_deadline
from runtime.policies.errors import DeadlineExceeded
from runtime.policies.fallback import Answer, Fallback, FallbackStatistics
from runtime.policies.judging import Effect, judged
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


@attrs.define
class Run:
    """One call on its way: until when, under what context, for whom."""

    deadline: float
    own_deadline: float
    ambient: Ambient | None
    layer: RetryLayer | None
    share: str | None


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

    async def call(
        self, function: Work[Result], *, repeatable: bool = False, share: str | None = None
    ) -> Result:
        """What `function` returns; its error, or a `PolicyError`, of the last attempt.

        What is not `repeatable` is attempted again only when it is known not to have happened.
        Of `share` (a merchant, say) no more than its part runs while others wait. Cancelled, it
        ends with its attempt, and says nothing about the dependency. A fallback is only taken
        by `answer`.
        """
        if not self.admissions:
            return await self._call(function, repeatable, share)
        own_deadline = monotonic() + self._limit_s
        return await self._admitted(
            lambda: self._call(function, repeatable, share, own_deadline), own_deadline, share
        )

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

        own_deadline = monotonic() + self._limit_s

        async def answered() -> Answer[Result]:
            return await self.fallback.call(
                key,
                lambda: self._call(function, repeatable, share),
                instead,
                limit_s=own_deadline - monotonic(),
            )

        if not self.admissions:
            return await answered()
        return await self._admitted(answered, own_deadline, share)

    async def _admitted(self, work: Work[Result], own_deadline: float, share: str | None) -> Result:
        """The work, if all admissions let it in; they see the deadline, and then how it ended."""
        ambient, started, effect = current.get(), monotonic(), Effect.IGNORED
        deadline = min(own_deadline, ambient.deadline) if ambient is not None else own_deadline
        ends: list[Ended] = []
        token = current.set(narrowed(ambient, deadline))
        try:
            for admission in self.admissions:
                end = await admission.admit(share)
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

    async def _call(
        self,
        function: Work[Result],
        repeatable: bool,
        share: str | None,
        own_deadline: float | None = None,
    ) -> Result:
        ambient = current.get()
        if own_deadline is None:
            own_deadline = monotonic() + self._limit_s
        deadline = own_deadline
        if ambient is not None and ambient.deadline < deadline:
            deadline = ambient.deadline
        if deadline == inf:
            require_deadline(self.name)
        retry = self._retry
        if retry is None:
            return await self._attempt(function, Run(deadline, own_deadline, ambient, None, share))
        layer = RetryLayer(ambient.retries if ambient is not None else None)
        run = Run(deadline, own_deadline, ambient, layer, share)
        retry.count_call()
        number = 1
        while True:
            try:
                return await self._attempt(function, run)
            except Exception as error:
                judgement = judged(error, self.spec.judge)
                pause_s = retry.pause_s(error, judgement, number, layer, repeatable, deadline)
                if pause_s is None:
                    raise
            number += 1
            await trio.sleep(pause_s)

    async def _attempt(self, function: Work[Result], run: Run) -> Result:
        breaker, bulkhead, share = self.breaker, self.bulkhead, run.share
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
        limit = started + self._attempt_s
        ours = limit <= run.deadline or run.deadline == run.own_deadline
        limit = min(limit, run.deadline)
        token = current.set(narrowed(run.ambient, limit, run.layer))
        try:
            with trio.CancelScope(deadline=limit):
                if self.chaos.spec is not None:
                    await self.chaos.strike()
                result = await function()
                permit.succeeded(monotonic() - started)
                return result
        except Exception as error:
            self._record(error, permit, monotonic() - started)
            raise
        except BaseException:
            # Cancelled from outside, perhaps at the same moment as our own limit passed.
            self._record_cut_off(permit, started, limit, ours)
            raise
        finally:
            current.reset(token)
        self._record_cut_off(permit, started, limit, ours)
        raise self._out_of_time("attempt", Outcome.UNKNOWN)

    def _record(self, error: Exception, permit: Permit, took_s: float) -> None:
        match judged(error, self.spec.judge).effect:
            case Effect.SUCCESS:
                permit.succeeded(took_s)
            case Effect.FAILURE:
                permit.failed(took_s)
            case Effect.IGNORED:
                permit.abandoned()

    def _record_cut_off(self, permit: Permit, started: float, limit: float, ours: bool) -> None:
        """A failure where our own limit ended it, or where it had been slow already; a caller
        with less patience than that says nothing about the dependency."""
        now, breaker = monotonic(), self.spec.breaker
        slow = breaker is not None and now - started >= breaker.slow_s
        if now >= limit and (ours or slow):
            permit.failed(now - started)
        else:
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
