"""Fallbacks: what a caller gets when the dependency does not answer, and how old it is."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from enum import Enum
from math import inf
from typing import Any, Generic, TypeVar

import attrs

from runtime.context import time_left_s
from runtime.parking import monotonic
from runtime.policies.deadline import time_limit
from runtime.policies.errors import NoDeadline
from runtime.policies.flights import Flight, Flights
from runtime.policies.judging import Effect, Judge, failed, judged
from runtime.policies.metrics import PolicyMetrics

Value = TypeVar("Value")


HAND_OVER_S = 0.02
"""Waiting for a shared call ends this long before the deadline in force, so that there is time to
give a fallback to a caller that is cancelled at its deadline."""


class FallbackKind(Enum):
    """CACHED: the last answer, while it is young enough. DEFAULT: a value that is always right
    to go on with. STUB: less than was asked for. NONE: the error, as for balances to be spent
    and for authorisation."""

    CACHED = "cached"
    DEFAULT = "default"
    STUB = "stub"
    NONE = "none"


@attrs.frozen(kw_only=True)
class FallbackSpec:
    """`max_age_s` and `keys_max` (how many answers are kept) are for CACHED."""

    kind: FallbackKind = FallbackKind.NONE
    max_age_s: float = 900.0
    keys_max: int = 10_000


NO_FALLBACK = FallbackSpec()


@attrs.frozen
class Answer(Generic[Value]):
    """`degraded` says that it does not come from the dependency now; `age_s` how old it is."""

    value: Value
    degraded: bool = False
    age_s: float = 0.0


@attrs.frozen
class _Kept:
    value: Any
    at: float


@attrs.frozen
class FallbackStatistics:
    """`kept` answers for bad times, `in_flight` calls in progress, and `used` fallbacks so far."""

    name: str
    kind: FallbackKind
    kept: int
    in_flight: int
    used: int


class Fallback:
    """Asks a dependency once for all who want the same at the same time, and knows what to do
    without it."""

    def __init__(
        self,
        name: str,
        spec: FallbackSpec,
        metrics: PolicyMetrics | None = None,
        judge: Judge = failed,
    ) -> None:
        self.name = name
        self.spec = spec
        self._metrics = metrics if metrics is not None else PolicyMetrics()
        self._judge = judge
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._flights: Flights[Any] = Flights()
        self._used = 0

    async def call(
        self,
        key: str,
        function: Callable[[], Awaitable[Value]],
        instead: Callable[[], Value] | None = None,
        *,
        limit_s: float = inf,
    ) -> Answer[Value]:
        """What `function` returns, else what the declared kind gives; else its error.

        Those who ask for the same `key` at the same time share one call, which has neither their
        deadlines nor their context, and is cancelled when the last of them goes. Each waits until
        its own deadline, and at most `limit_s`. `instead` makes the value of DEFAULT and STUB.
        """

        async def load(_flight: Flight[Value]) -> Value:
            value = await function()
            self._keep(key, value)
            return value

        try:
            return Answer(await self._wait(self._flights.load(key, load), limit_s))
        except Exception as error:
            if not self._may_replace(error):
                raise
            answer = self._instead(key, instead)
            if answer is None:
                raise
        self._used += 1
        self._metrics.fallback(self.name, self.spec.kind.value)
        return answer

    async def _wait(self, flight: Awaitable[Value], limit_s: float) -> Value:
        with time_limit(self.name, min(limit_s, time_left_s() - HAND_OVER_S), "shared call"):
            return await flight
        raise AssertionError("unreachable")

    def _may_replace(self, error: Exception) -> bool:
        """Not what the dependency answered, such as a refusal, and not mistakes of ours. What it
        is not to blame for, such as a store behind it that is away, leaves the caller without an
        answer as well."""
        if isinstance(error, NoDeadline):
            return False
        return judged(error, self._judge).effect is not Effect.SUCCESS

    def _instead(self, key: str, instead: Callable[[], Value] | None) -> Answer[Value] | None:
        match self.spec.kind:
            case FallbackKind.NONE:
                return None
            case FallbackKind.CACHED:
                return self._young_enough(key)
        if instead is None:
            raise ValueError(f"{self.name}: a {self.spec.kind.value} fallback needs a value")
        return Answer(instead(), degraded=True)

    def _young_enough(self, key: str) -> Answer[Any] | None:
        kept = self._kept.get(key)
        age_s = monotonic() - kept.at if kept is not None else 0.0
        if kept is None or age_s > self.spec.max_age_s:
            return None
        return Answer(kept.value, degraded=True, age_s=age_s)

    def _keep(self, key: str, value: Any) -> None:
        if self.spec.kind is not FallbackKind.CACHED:
            return
        self._kept[key] = _Kept(value, monotonic())
        self._kept.move_to_end(key)
        while len(self._kept) > self.spec.keys_max:
            self._kept.popitem(last=False)

    def statistics(self) -> FallbackStatistics:
        return FallbackStatistics(
            self.name, self.spec.kind, len(self._kept), len(self._flights.keys), self._used
        )
