"""The metrics of deferred earnings, in the registry of the actor system."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

from runtime.registries import in_registry
from runtime.tallies import Counter
from runtime.telemetry import PREFIX


class DeferralMetrics:
    """Outcomes: `queued` and `rejected` when they are handed in, `repeated` of what was applied
    before; later `applied`, `refused` and `dead`, and `unreadable` of what the disk has spoilt."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._total = Counter(
            "points_deferred",
            "Earnings put off because the database was away, and what became of them",
            ("outcome",),
            PREFIX,
            registry=registry,
        )
        self._backlog = Gauge(
            "points_deferred_backlog",
            "Earnings that wait on the disk",
            (),
            PREFIX,
            registry=registry,
        )
        self._oldest_age = Gauge(
            "points_deferred_oldest_age_seconds",
            "Age of the earning that waits longest, 0 where none does",
            (),
            PREFIX,
            registry=registry,
        )

    def count(self, outcome: str, number: int = 1) -> None:
        self._total.labels(outcome).inc(number)

    def watch(self, backlog: Callable[[], float], oldest_age_s: Callable[[], float]) -> None:
        """The gauges ask these from now on."""
        self._backlog.set_function(backlog)
        self._oldest_age.set_function(oldest_age_s)


def deferral_metrics(registry: CollectorRegistry) -> DeferralMetrics:
    """The metrics in a registry; an actor that restarts counts on."""
    return in_registry(registry, DeferralMetrics)
