"""An adaptive limit on concurrency: as much at once as latency says is of use.

The limit follows a gradient, as in Netflix's concurrency-limits (`Gradient2Limit`): the latency
expected of the work over the latency measured lately. While that stays within `tolerance`, the
limit grows by a headroom of its square root; beyond it, the limit shrinks in proportion:

    limit = limit * clamp(tolerance * expected / measured, 1/2, 1) + sqrt(limit)

What is expected differs from there. A long-term average follows the load: under lasting overload
it comes to expect the queue, and the limit drifts to its maximum. Here it is learnt only from
work that began while at most `limit_min` ran, as Envoy's gradient controller takes its minimum;
and like that one, the limit goes down to `limit_min` now and then (a probe), so that lasting load
cannot hide that the work itself has become slower or faster.

The latency measured is a ratio to what is expected of work of the same kind, and of several kinds
the (lower) median counts. What all of them share, a processor or a store, makes all of them slow;
where only some have become slow, the limit is not what would help.

Where work queues for one processor, latency grows in proportion to the limit, and it settles at
about `tolerance * limit_min`. Where K pieces of work really run side by side, it settles at
about `tolerance * K`, if that is more.
"""

from collections.abc import Hashable
from math import sqrt
from random import Random
from statistics import fmean, median_low

import attrs

from runtime.parking import monotonic

GRADIENT_MIN = 0.5
"""The limit shrinks at most by this factor, before smoothing."""

RATIO_MAX = 10.0
"""One latency counts as at most so many times the expected one: a stall is no trend."""

USED_SHARE = 0.5
"""The limit grows only where at least this share of it was used."""

FIRST_PROBE_S = 2.0
"""Where the load was there from the start, what was learnt so far may be wrong."""

KINDS_MAX = 1_000
"""Kinds of work of which the latency is known; further ones share an expectation."""

OTHER_KINDS = "others"


@attrs.frozen(kw_only=True)
class GradientSpec:
    """Bounds of the limit, and how fast it follows.

    It is reckoned anew when `window_s` have passed and `samples_min` pieces of work ended, and
    moves by `smoothing` of the way. `learning` is the weight of one latency in what is expected
    of its kind. While the limit is in use, every `probe_every_s` ± 20% it is `limit_min` for
    `probe_s`.
    """

    limit_min: int = 48
    limit_max: int = 1_000
    limit_start: int = 96
    tolerance: float = 1.5
    smoothing: float = 0.2
    window_s: float = 0.1
    samples_min: int = 10
    learning: float = 0.05
    probe_every_s: float = 30.0
    probe_s: float = 0.25

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.limit_min <= self.limit_start <= self.limit_max:
            raise ValueError("1 <= limit_min <= limit_start <= limit_max does not hold")
        if self.tolerance < 1.0:
            raise ValueError("the tolerance must be at least 1")


@attrs.frozen
class GradientStatistics:
    """`gradient` is that of the last window, 1.0 where latency is within the tolerance."""

    limit: int
    gradient: float
    probing: bool
    probes: int
    kinds: int


@attrs.define
class _Expectation:
    """The mean latency of one kind of work: of all of it at first, then of the latest."""

    mean_s: float = 0.0
    learnt: int = 0

    def learn(self, latency_s: float, weight: float) -> None:
        self.learnt += 1
        self.mean_s += max(weight, 1 / self.learnt) * (latency_s - self.mean_s)


@attrs.define
class _Window:
    """What ended since the limit was last reckoned."""

    began_at: float
    ended: int = 0
    in_flight_max: int = 0
    ratios: dict[Hashable, list[float]] = attrs.field(factory=dict)

    def ratio(self) -> float:
        """Measured over expected; of several kinds the lower median of their means."""
        if not self.ratios:
            return 0.0
        return median_low(fmean(ratios) for ratios in self.ratios.values())


class GradientLimit:
    """The limit itself. It admits nobody; it is told how long the work took. Never waits.

    Times are on Trio's clock.
    """

    def __init__(self, spec: GradientSpec, random: Random) -> None:
        self._spec = spec
        self._random = random
        self._limit = float(spec.limit_start)
        self._expected: dict[Hashable, _Expectation] = {}
        self._gradient = 1.0
        self._probes = 0
        now = monotonic()
        self._window = _Window(now)
        self._probing_until = 0.0
        self._probe_at = now + FIRST_PROBE_S

    @property
    def current(self) -> int:
        """How much may run at once now."""
        return self._spec.limit_min if self._probing_until else int(self._limit)

    def statistics(self) -> GradientStatistics:
        return GradientStatistics(
            self.current,
            self._gradient,
            bool(self._probing_until),
            self._probes,
            len(self._expected),
        )

    def observe(self, latency_s: float, in_flight: int, kind: Hashable = OTHER_KINDS) -> None:
        """A piece of work ended that began when `in_flight`, itself included, ran.

        `kind` says which latencies can be compared: a quick lookup and a long report cannot.
        """
        spec, window = self._spec, self._window
        expected = self._expectation(kind)
        if in_flight <= spec.limit_min or not expected.mean_s:
            expected.learn(latency_s, spec.learning)
        else:
            ratio = min(RATIO_MAX, latency_s / expected.mean_s)
            window.ratios.setdefault(kind, []).append(ratio)
        window.ended += 1
        window.in_flight_max = max(window.in_flight_max, in_flight)
        if window.ended >= spec.samples_min:
            self._reckon(monotonic())

    def _expectation(self, kind: Hashable) -> _Expectation:
        expected = self._expected.get(kind)
        if expected is None:
            if len(self._expected) >= KINDS_MAX:
                kind = OTHER_KINDS
            expected = self._expected.setdefault(kind, _Expectation())
        return expected

    def _reckon(self, now: float) -> None:
        window, spec = self._window, self._spec
        if now < window.began_at + spec.window_s:
            return
        self._window = _Window(now)
        if self._probing_until:
            if now >= self._probing_until:
                self._probing_until = 0.0
            return
        self._gradient = self._gradient_of(window)
        used = window.in_flight_max >= USED_SHARE * self._limit
        target = self._limit * self._gradient + (sqrt(self._limit) if used else 0.0)
        moved = self._limit + spec.smoothing * (target - self._limit)
        self._limit = min(max(moved, spec.limit_min), spec.limit_max)
        if now >= self._probe_at:
            self._begin_probe(now, used)

    def _gradient_of(self, window: _Window) -> float:
        ratio = window.ratio()
        if ratio <= self._spec.tolerance:
            return 1.0
        return max(GRADIENT_MIN, self._spec.tolerance / ratio)

    def _begin_probe(self, now: float, used: bool) -> None:
        """Where little runs, what is expected is learnt all the time."""
        self._probe_at = now + self._until_probe_s()
        if used and self._limit > self._spec.limit_min:
            self._probes += 1
            self._probing_until = now + self._spec.probe_s

    def _until_probe_s(self) -> float:
        return self._spec.probe_every_s * self._random.uniform(0.8, 1.2)
