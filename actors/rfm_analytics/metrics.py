"""Metrics of runs and segments."""

from prometheus_client import CollectorRegistry, Gauge

from runtime.registries import in_registry
from runtime.tallies import Counter, Histogram
from runtime.telemetry import PREFIX

SECONDS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1_800.0)


class RfmMetrics:
    """How runs ended, how long those took that were published, and how old segments are."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.runs = Counter(
            "rfm_runs", "Runs by how they ended", ("outcome",), PREFIX, registry=registry
        )
        self.seconds = Histogram(
            "rfm_run_duration_seconds",
            "From the beginning of a run until it was published",
            (),
            PREFIX,
            registry=registry,
            buckets=SECONDS,
        )
        self.customers = Counter(
            "rfm_customers",
            "Customers that runs have looked at",
            (),
            PREFIX,
            registry=registry,
        )
        self.age = Gauge(
            "segments_age_seconds",
            "Age of the oldest segments that are served, of merchants with a schedule",
            (),
            PREFIX,
            registry=registry,
        )


def rfm_metrics(registry: CollectorRegistry) -> RfmMetrics:
    """The metrics in a registry; actors that restart count on."""
    return in_registry(registry, RfmMetrics)
