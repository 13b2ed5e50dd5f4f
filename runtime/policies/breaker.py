"""A circuit breaker: stops asking a dependency that fails or drags, and tries it with care."""

from collections.abc import Callable
from enum import Enum
from math import inf
from random import Random
from typing import NoReturn

import attrs
import structlog

from runtime.parking import monotonic
from runtime.policies.errors import BreakerOpen
from runtime.policies.metrics import PolicyMetrics
from runtime.policies.window import Window

log = structlog.get_logger("loyalnest.breaker")

DOUBLINGS_MAX = 32

HALF_OPEN_RETRY_S = 1.0
"""When those who were rejected while others try should come back."""


class BreakerState(Enum):
    """The last three are forced by an operator, and last until they are lifted.

    METRICS_ONLY admits and counts everything and never opens; DISABLED admits everything and
    counts nothing.
    """

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"
    METRICS_ONLY = "metrics_only"
    DISABLED = "disabled"


class ForcedState(Enum):
    """What an operator may force a breaker into."""

    OPEN = "forced_open"
    METRICS_ONLY = "metrics_only"
    DISABLED = "disabled"


@attrs.frozen(kw_only=True)
class BreakerSpec:
    """Opens when at least `calls_min` calls of the last `window_s` ended, and `failure_share` of
    them failed or `slow_share` of them were slow; a pipeline says that of those that took `slow_s`.
    Stays open for `open_s`, doubling with each trial that fails up to `open_max_s`, spread evenly
    by ± `jitter` of itself. Then admits `half_open_permits` calls: closes when all of them
    succeed, opens again at the first failure, when `slow_share` of them were slow, or when one
    has hung for `half_open_s`.
    """

    window_s: float = 10.0
    buckets: int = 10
    calls_min: int = 20
    failure_share: float = 0.5
    slow_share: float = 0.5
    slow_s: float = 60.0
    open_s: float = 5.0
    open_max_s: float = 60.0
    jitter: float = 0.1
    half_open_permits: int = 3
    half_open_s: float = 10.0


@attrs.frozen
class Transition:
    """One change of state. `seen_at` is on Trio's clock."""

    name: str
    before: BreakerState
    state: BreakerState
    seen_at: float


@attrs.frozen
class BreakerStatistics:
    """`calls`, `failures` and `slow` are those of the window; `rejected` counts since the start.
    `retry_after_s` is how long it still rejects, 0 where it does not."""

    name: str
    state: BreakerState
    generation: int
    calls: int
    failures: int
    slow: int
    rejected: int
    retry_after_s: float


class Permit:
    """Leave to make one call. Exactly one of its methods is called when the call has ended;
    of several, the first counts. One of an older generation of the breaker counts for nothing.
    """

    __slots__ = ("_breaker", "generation")

    def __init__(self, breaker: "Breaker | None", generation: int = 0) -> None:
        self._breaker = breaker
        self.generation = generation

    def succeeded(self, *, slow: bool = False) -> None:
        """The dependency answered; `slow` is without the time the call waited on this side."""
        breaker, self._breaker = self._breaker, None
        if breaker is not None:
            breaker.record(self, failed=False, slow=slow)

    def failed(self, *, slow: bool = False) -> None:
        """The dependency failed, or took longer than we allow it."""
        breaker, self._breaker = self._breaker, None
        if breaker is not None:
            breaker.record(self, failed=True, slow=slow)

    def abandoned(self) -> None:
        """The caller gave up, or the call was not made: this says nothing about the dependency."""
        breaker, self._breaker = self._breaker, None
        if breaker is not None:
            breaker.give_back(self)


UNGUARDED = Permit(None)
"""For calls without a breaker."""


class Breaker:
    """The state of one dependency. All times are on Trio's clock; nothing here waits.

    Transitions that time brings about happen when somebody looks, metrics included: at `admit`,
    `state`, `statistics` or the end of a call. Each is logged, counted and given to
    `on_transition` once.
    """

    def __init__(
        self,
        name: str,
        spec: BreakerSpec,
        random: Random,
        metrics: PolicyMetrics | None = None,
        on_transition: Callable[[Transition], object] | None = None,
    ) -> None:
        self.name = name
        self._spec = spec
        self._random = random
        self._metrics = metrics if metrics is not None else PolicyMetrics()
        self._on_transition = on_transition
        self._state = BreakerState.CLOSED
        self._generation = 0
        self._window = Window(spec.window_s, spec.buckets)
        self._until = inf
        self._openings = 0
        self._trials: dict[Permit, float] = {}
        self._successes = 0
        self._slow_successes = 0
        self._rejected = 0
        self._watch()

    def _watch(self) -> None:
        count, name = self._metrics.breaker_calls, self.name
        self._count_success = count(name, "success").inc
        self._count_failure = count(name, "failure").inc
        self._count_abandoned = count(name, "abandoned").inc
        self._count_rejected = count(name, "rejected").inc
        for state in BreakerState:
            self._metrics.watch_breaker(name, state.value, lambda s=state: self.state is s)  # type: ignore[misc]

    @property
    def state(self) -> BreakerState:
        self._pass_time()
        return self._state

    @property
    def forced(self) -> ForcedState | None:
        """What it is forced into, if it is."""
        return FORCED.get(self._state)

    def statistics(self) -> BreakerStatistics:
        state = self.state
        self._window.at(monotonic())
        totals = self._window.totals
        rejects = state in {BreakerState.OPEN, BreakerState.FORCED_OPEN}
        return BreakerStatistics(
            self.name,
            state,
            self._generation,
            totals.calls,
            totals.failures,
            totals.slow,
            self._rejected,
            self._retry_after_s() if rejects else 0.0,
        )

    def admit(self) -> Permit:
        """Leave to make one call. Raises `BreakerOpen`."""
        if self._state is BreakerState.CLOSED:
            return Permit(self, self._generation)
        match self.state:
            case BreakerState.OPEN:
                self._reject("it failed too often")
            case BreakerState.FORCED_OPEN:
                self._reject("switched off")
            case BreakerState.HALF_OPEN:
                return self._admit_trial()
        return Permit(self, self._generation)

    def _admit_trial(self) -> Permit:
        if len(self._trials) + self._successes >= self._spec.half_open_permits:
            self._reject("others are trying it")
        permit = Permit(self, self._generation)
        self._trials[permit] = monotonic()
        self._watch_trials()
        return permit

    def _watch_trials(self) -> None:
        oldest = next(iter(self._trials.values()), inf)
        self._until = oldest + self._spec.half_open_s

    def _reject(self, why: str) -> NoReturn:
        self._rejected += 1
        self._count_rejected()
        retry_after_s = self._retry_after_s()
        detail = f"{why}; try again in {retry_after_s:.1f} s"
        raise BreakerOpen(self.name, detail, retry_after_s=retry_after_s)

    def _retry_after_s(self) -> float:
        if self._state is BreakerState.OPEN:
            return max(0.0, self._until - monotonic())
        return HALF_OPEN_RETRY_S

    def force(self, forced: ForcedState | None) -> None:
        """Hold it in a state until `force(None)`, which closes it with nothing counted."""
        self._pass_time()
        state = BreakerState.CLOSED if forced is None else BreakerState(forced.value)
        if state is self._state or (forced is None and self.forced is None):
            return
        self._openings = 0
        self._go(state, inf)

    def give_back(self, permit: Permit) -> None:
        """An admitted call that says nothing; said by its permit."""
        self._count_abandoned()
        self._pass_time()
        if self._trials.pop(permit, None) is not None:
            self._watch_trials()

    def record(self, permit: Permit, *, failed: bool, slow: bool) -> None:
        """How an admitted call ended; said by its permit."""
        if failed:
            self._count_failure()
        else:
            self._count_success()
        if self._state is not BreakerState.CLOSED:
            self._pass_time()
        if permit.generation != self._generation:
            return
        if self._state is BreakerState.CLOSED:
            self._count(failed, slow)
            if (failed or slow) and self._is_bad():
                self._open()
        elif self._state is BreakerState.HALF_OPEN:
            self._record_trial(permit, failed, slow)
        elif self._state is BreakerState.METRICS_ONLY:
            self._count(failed, slow)

    def _count(self, failed: bool, slow: bool) -> None:
        now, totals = self._window.at(monotonic()), self._window.totals
        now.calls += 1
        totals.calls += 1
        if failed:
            now.failures += 1
            totals.failures += 1
        if slow:
            now.slow += 1
            totals.slow += 1

    def _is_bad(self) -> bool:
        spec, totals = self._spec, self._window.totals
        if totals.calls < spec.calls_min:
            return False
        failing = totals.failures >= spec.failure_share * totals.calls
        return failing or totals.slow >= spec.slow_share * totals.calls

    def _record_trial(self, permit: Permit, failed: bool, slow: bool) -> None:
        if failed:
            self._open()
            return
        del self._trials[permit]
        self._watch_trials()
        self._successes += 1
        self._slow_successes += slow
        if self._successes < self._spec.half_open_permits:
            return
        if self._slow_successes >= max(1, self._spec.slow_share * self._successes):
            self._open()
        else:
            self._openings = 0
            self._go(BreakerState.CLOSED, inf)

    def _open(self, since: float | None = None) -> None:
        spec = self._spec
        doubled = min(spec.open_max_s, spec.open_s * 2.0**self._openings)
        self._openings = min(self._openings + 1, DOUBLINGS_MAX)
        spread = self._random.uniform(1 - spec.jitter, 1 + spec.jitter)
        since = since if since is not None else monotonic()
        self._go(BreakerState.OPEN, since + doubled * spread)

    def _pass_time(self) -> None:
        """What happened while nobody looked, when it happened."""
        while self._until <= monotonic():
            if self._state is BreakerState.OPEN:
                self._go(BreakerState.HALF_OPEN, inf)
            else:
                self._open(self._until)

    def _go(self, state: BreakerState, until: float) -> None:
        before, self._state = self._state, state
        self._until = until
        self._generation += 1
        self._trials.clear()
        self._successes = self._slow_successes = 0
        self._window.clear()
        log.warning("breaker_moved", name=self.name, state=state.value, before=before.value)
        self._metrics.breaker_moved(self.name, before.value, state.value)
        if self._on_transition is not None:
            self._on_transition(Transition(self.name, before, state, monotonic()))


FORCED = {BreakerState(forced.value): forced for forced in ForcedState}
