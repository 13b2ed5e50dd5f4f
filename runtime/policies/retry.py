"""Retry with full jitter, within a budget, by one layer only.

Where pipelines are nested, the first layer that retries is the only one that may: three layers
over a dead leaf make as many attempts as one of them. The layers know of each other through
`Context.retries`, which travels with every ask.
"""

from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

import attrs
import trio

from runtime.context import current
from runtime.parking import monotonic
from runtime.policies.deadline import narrowed, require_deadline
from runtime.policies.judging import Again, Doubt, Judge, Judgement, failed, judged, retry_after_s
from runtime.policies.metrics import PolicyMetrics
from runtime.policies.window import Window

Result = TypeVar("Result")

BUDGET_WINDOW_S = 10.0
BUDGET_BUCKETS = 10


@attrs.frozen(kw_only=True)
class RetrySpec:
    """At most `attempts_max` attempts. The n-th retry waits a time drawn evenly between 0 and
    `base_s` · 2ⁿ⁻¹, at most `cap_s`; a `Retry-After` is kept to up to `cap_s`, and beyond it
    there is no retry. None begins with less than `needs_s` left. In any 10 s there are at most
    `budget_share` as many retries as calls, or `budget_min` if that is more.
    """

    attempts_max: int = attrs.field(default=3, validator=attrs.validators.ge(1))
    base_s: float = 0.05
    cap_s: float = 2.0
    budget_share: float = 0.2
    budget_min: int = 3
    needs_s: float = 0.01


@attrs.frozen
class RetryStatistics:
    """`calls` and `retries` of the budget's window, and those that it did not allow, ever."""

    name: str
    calls: int
    retries: int
    denied: int


class RetryLayer:
    """One call that may repeat its work, and its place in those around it."""

    __slots__ = ("_above", "_level", "_turn")

    def __init__(self, around: object) -> None:
        outer = around if isinstance(around, RetryLayer) else None
        self._above: RetryLayer | None = outer._root if outer is not None else None
        self._level: int = outer._level + 1 if outer is not None else 0
        self._turn: int | None = None

    @property
    def _root(self) -> "RetryLayer":
        """The outermost one. Not kept where that is itself: there is a layer for every call, and
        only the garbage collector would find those that refer to themselves."""
        return self if self._above is None else self._above

    @property
    def may_retry(self) -> bool:
        """No other layer has."""
        return self._root._turn in {None, self._level}

    def retries(self) -> None:
        """From now on, the others must not."""
        self._root._turn = self._level


NO_LAYER, NOBODY_YET, SOMEBODY = range(3)
"""Who may retry, as far as it is told to another process: see `standing`."""

ELSEWHERE = -1
"""The turn of a layer in another process."""


def standing(around: object) -> int:
    """Of the layers around an ask, as the process knows it that is asked: there are none, none of
    them has retried yet, or one has."""
    if not isinstance(around, RetryLayer):
        return NO_LAYER
    return NOBODY_YET if around._root._turn is None else SOMEBODY


def standing_here(told: int) -> RetryLayer | None:
    """A layer in place of those around an ask of another process."""
    if told == NO_LAYER:
        return None
    layer = RetryLayer(None)
    layer._turn = None if told == NOBODY_YET else ELSEWHERE
    return layer


def taken_elsewhere(around: object) -> None:
    """A layer below, in another process, has retried: those here must not any more."""
    if isinstance(around, RetryLayer) and around._root._turn is None:
        around._root._turn = ELSEWHERE


class Retry:
    """Repeats calls of one dependency. `judge` says of each error whether that makes sense."""

    def __init__(
        self,
        name: str,
        spec: RetrySpec,
        random: Random,
        metrics: PolicyMetrics | None = None,
        judge: Judge = failed,
    ) -> None:
        self.name = name
        self.spec = spec
        self._random = random
        self._metrics = metrics if metrics is not None else PolicyMetrics()
        self._judge = judge
        self._budget = Window(BUDGET_WINDOW_S, BUDGET_BUCKETS)
        self._denied = 0

    async def call(
        self, function: Callable[[], Awaitable[Result]], *, repeatable: bool = False
    ) -> Result:
        """What `function` returns, or the error of its last attempt, or of the last that may have
        happened, unless a later one was refused.

        What is not `repeatable` is repeated only when it is known not to have happened.
        """
        deadline = require_deadline(self.name)
        ambient = current.get()
        layer = RetryLayer(ambient.retries if ambient is not None else None)
        token = current.set(narrowed(ambient, deadline, layer))
        try:
            return await self._repeat(function, layer, repeatable, deadline)
        finally:
            current.reset(token)

    async def _repeat(
        self,
        function: Callable[[], Awaitable[Result]],
        layer: RetryLayer,
        repeatable: bool,
        deadline: float,
    ) -> Result:
        self.count_call()
        doubt, number = Doubt(), 1
        while True:
            try:
                return await function()
            except Exception as error:
                judgement = judged(error, self._judge)
                last = doubt.told(error, judgement)
                pause_s = self.pause_s(error, judgement, number, layer, repeatable, deadline)
                if pause_s is None:
                    if last is not error:
                        raise last from error
                    raise
            number += 1
            await trio.sleep(pause_s)

    def count_call(self) -> None:
        """A call has come: the budget grows."""
        self._budget.at(monotonic()).calls += 1
        self._budget.totals.calls += 1

    def pause_s(
        self,
        error: Exception,
        judgement: Judgement,
        number: int,
        layer: RetryLayer,
        repeatable: bool,
        deadline: float,
    ) -> float | None:
        """How long to wait before the retry with this number (1 is the first); None: there is
        none. What is not None counts as a retry."""
        spec, again = self.spec, judgement.again
        if number >= spec.attempts_max or not layer.may_retry:
            return None
        if again is Again.NEVER or (again is Again.IF_REPEATABLE and not repeatable):
            return None
        asked_s = retry_after_s(error)
        drawn_s = self._random.uniform(0.0, min(spec.cap_s, spec.base_s * 2.0 ** (number - 1)))
        pause_s = max(asked_s, drawn_s)
        if asked_s > spec.cap_s or monotonic() + pause_s + spec.needs_s > deadline:
            return None
        if not self._within_budget():
            return None
        layer.retries()
        self._metrics.retried(self.name, judgement.reason)
        return pause_s

    def _within_budget(self) -> bool:
        """Take one retry from the budget. Retries are kept as the window's failures."""
        now, totals, spec = self._budget.at(monotonic()), self._budget.totals, self.spec
        if totals.failures + 1 > max(spec.budget_min, spec.budget_share * totals.calls):
            self._denied += 1
            self._metrics.budget_exhausted(self.name)
            return False
        now.failures += 1
        totals.failures += 1
        return True

    def statistics(self) -> RetryStatistics:
        self._budget.at(monotonic())
        totals = self._budget.totals
        return RetryStatistics(self.name, totals.calls, totals.failures, self._denied)
