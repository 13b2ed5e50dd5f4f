"""The metrics of the policies. Gauges are read when somebody looks, and so are never stale."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge
from trio.lowlevel import in_trio_run

from runtime.tallies import Counter

PREFIX = "loyalnest"


class PolicyMetrics:
    """Of all dependencies of one application. Labels are names from a fixed set."""

    def __init__(self, registry: CollectorRegistry | None = None, prefix: str = PREFIX) -> None:
        self._registry = registry if registry is not None else CollectorRegistry()
        self._prefix = prefix
        self._breaker_state = self._gauge(
            "breaker_state", "1 for the state a breaker is in", "name", "state"
        )
        self._transitions = self._counter(
            "breaker_transitions", "Changes of a breaker's state", "name", "from", "to"
        )
        self._calls = self._counter(
            "breaker_calls", "Calls that asked a breaker, by how they ended", "name", "outcome"
        )
        self._retries = self._counter("retries", "Attempts after the first", "name", "reason")
        self._budget_exhausted = self._counter(
            "retry_budget_exhausted", "Retries that the budget did not allow", "name"
        )
        self._in_use = self._gauge("bulkhead_permits_in_use", "Calls that run", "name")
        self._waiting = self._gauge("bulkhead_waiting", "Calls that wait for a permit", "name")
        self._limit = self._gauge("bulkhead_permits_limit", "Calls that may run", "name")
        self._rejections = self._counter(
            "bulkhead_rejections", "Calls for which no permit was free in time", "name"
        )
        self._deadlines = self._counter(
            "deadline_exceeded", "Calls that ran out of time, by where", "stage"
        )
        self._fallbacks = self._counter(
            "fallbacks",
            "Times something went on without a dependency, by what it did instead",
            "name",
            "kind",
        )
        self._chaos = self._counter("chaos_injected", "Faults made on purpose", "name", "kind")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, self._prefix, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, self._prefix, registry=self._registry)

    def watch_breaker(self, name: str, state: str, is_in: Callable[[], bool]) -> None:
        """Read whether the breaker is in `state` from now on; of several, the last is read."""
        self._breaker_state.labels(name, state).set_function(_read(is_in))

    def breaker_moved(self, name: str, before: str, state: str) -> None:
        self._transitions.labels(name, before, state).inc()

    def breaker_calls(self, name: str, outcome: str) -> Counter:
        """The counter itself, for those who count on every call."""
        return self._calls.labels(name, outcome)

    def retried(self, name: str, reason: str) -> None:
        self._retries.labels(name, reason).inc()

    def budget_exhausted(self, name: str) -> None:
        self._budget_exhausted.labels(name).inc()

    def watch_bulkhead(
        self,
        name: str,
        in_use: Callable[[], int],
        waiting: Callable[[], int],
        limit: Callable[[], int],
    ) -> None:
        self._in_use.labels(name).set_function(in_use)
        self._waiting.labels(name).set_function(waiting)
        self._limit.labels(name).set_function(limit)

    def bulkhead_rejected(self, name: str) -> None:
        self._rejections.labels(name).inc()

    def deadline_exceeded(self, stage: str) -> None:
        self._deadlines.labels(stage).inc()

    def fallback(self, name: str, kind: str) -> None:
        self._fallbacks.labels(name, kind).inc()

    def chaos(self, name: str, kind: str) -> None:
        self._chaos.labels(name, kind).inc()


def _read(is_in: Callable[[], bool]) -> Callable[[], float]:
    """States depend on Trio's clock: outside of its run there are none any more."""

    def value() -> float:
        return float(in_trio_run() and is_in())

    return value
