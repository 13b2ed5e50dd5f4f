"""A circuit breaker: stops asking a dependency that fails, and tries it again with care."""

from collections import deque
from enum import Enum
from math import inf
from random import Random

import attrs
import structlog

from runtime.parking import monotonic
from runtime.telemetry import Metrics

log = structlog.get_logger("loyalnest.breaker")


class BreakerState(Enum):
    """Named as in `runtime.telemetry.BREAKER_STATES`."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class BreakerOpen(Exception):
    """The call was not admitted. Nothing was sent."""


@attrs.frozen
class BreakerPolicy:
    """Opens when at least `calls_min` calls of the last `window_s` ended and `failure_share` of
    them failed. Stays open for `open_s`, doubling with each trial that fails up to
    `open_max_s`, spread evenly by ± `jitter` of itself. Then admits `half_open_permits` calls:
    closes when all of them succeed, opens again at the first failure, or after `half_open_s`.
    """

    window_s: float = 10.0
    buckets: int = 10
    calls_min: int = 20
    failure_share: float = 0.5
    open_s: float = 5.0
    open_max_s: float = 60.0
    jitter: float = 0.1
    half_open_permits: int = 3
    half_open_s: float = 10.0


@attrs.define
class _Bucket:
    """The results of one part of the window. `number` counts the parts since the clock's zero."""

    number: int
    calls: int = 0
    failures: int = 0


class Permit:
    """Leave to make one call. Exactly one of its methods is called when the call has ended;
    of several, the first counts. One of an older generation of the breaker counts for nothing.
    """

    __slots__ = ("_breaker", "_ended", "_generation")

    def __init__(self, breaker: "Breaker", generation: int) -> None:
        self._breaker = breaker
        self._generation = generation
        self._ended = False

    def succeeded(self) -> None:
        self._end("success")

    def failed(self) -> None:
        """The dependency failed, or took longer than we allow it."""
        self._end("failure")

    def abandoned(self) -> None:
        """The caller gave up: that says nothing about the dependency."""
        self._end("abandoned")

    def _end(self, outcome: str) -> None:
        if not self._ended:
            self._ended = True
            self._breaker.record(outcome, self._generation)


class Breaker:
    """The state of one dependency. All times are on Trio's clock; nothing here waits.

    Transitions that time brings about happen when somebody looks: at `admit`, `state` or the
    end of a call.
    """

    def __init__(
        self, name: str, policy: BreakerPolicy, random: Random, metrics: Metrics | None = None
    ) -> None:
        self.name = name
        self._policy = policy
        self._random = random
        self._metrics = metrics if metrics is not None else Metrics()
        self._state = BreakerState.CLOSED
        self._generation = 0
        self._buckets: deque[_Bucket] = deque(maxlen=policy.buckets)
        self._until = inf
        self._openings = 0
        self._permits = 0
        self._successes = 0
        self._metrics.breaker_is(name, BreakerState.CLOSED.value)

    @property
    def state(self) -> BreakerState:
        self._pass_time()
        return self._state

    def admit(self) -> Permit:
        """Leave to make one call. Raises `BreakerOpen`."""
        self._pass_time()
        if self._state is BreakerState.OPEN:
            self._reject(f"open for another {self._until - monotonic():.1f} s")
        if self._state is BreakerState.HALF_OPEN:
            if not self._permits:
                self._reject("others are trying it")
            self._permits -= 1
        return Permit(self, self._generation)

    def _reject(self, detail: str) -> None:
        self._metrics.breaker_call(self.name, "rejected")
        raise BreakerOpen(f"{self.name}: {detail}")

    def record(self, outcome: str, generation: int) -> None:
        """How an admitted call ended; said by its permit."""
        self._metrics.breaker_call(self.name, outcome)
        self._pass_time()
        if generation != self._generation:
            return
        if self._state is BreakerState.HALF_OPEN:
            self._record_trial(outcome)
        elif outcome != "abandoned":
            self._record_call(outcome == "failure")

    def _record_trial(self, outcome: str) -> None:
        if outcome == "abandoned":
            self._permits += 1
        elif outcome == "failure":
            self._open()
        else:
            self._successes += 1
            if self._successes == self._policy.half_open_permits:
                self._openings = 0
                self._go(BreakerState.CLOSED, inf)

    def _record_call(self, failed: bool) -> None:
        policy = self._policy
        number = int(monotonic() / (policy.window_s / policy.buckets))
        if not self._buckets or self._buckets[-1].number != number:
            self._buckets.append(_Bucket(number))
        self._buckets[-1].calls += 1
        self._buckets[-1].failures += failed
        while self._buckets[0].number <= number - policy.buckets:
            self._buckets.popleft()
        calls = sum(bucket.calls for bucket in self._buckets)
        failures = sum(bucket.failures for bucket in self._buckets)
        if failed and calls >= policy.calls_min and failures >= policy.failure_share * calls:
            self._open()

    def _open(self) -> None:
        policy = self._policy
        doubled = min(policy.open_max_s, policy.open_s * 2.0**self._openings)
        self._openings = min(self._openings + 1, 32)
        spread = self._random.uniform(1 - policy.jitter, 1 + policy.jitter)
        self._go(BreakerState.OPEN, monotonic() + doubled * spread)

    def _pass_time(self) -> None:
        if monotonic() < self._until:
            return
        if self._state is BreakerState.OPEN:
            self._go(BreakerState.HALF_OPEN, monotonic() + self._policy.half_open_s)
        elif self._state is BreakerState.HALF_OPEN:
            self._open()

    def _go(self, state: BreakerState, until: float) -> None:
        before, self._state = self._state, state
        self._until = until
        self._generation += 1
        self._permits = self._policy.half_open_permits
        self._successes = 0
        self._buckets.clear()
        log.warning("breaker_moved", name=self.name, state=state.value, before=before.value)
        self._metrics.breaker_moved(self.name, before.value, state.value)
