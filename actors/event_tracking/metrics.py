"""The metrics of tracked events, in the registry of the actor system."""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from runtime.registries import in_registry
from runtime.tallies import Counter
from runtime.telemetry import PREFIX

REASONS: Final = ("memory_full", "disk_full", "disk_failed", "refused", "unreadable")


class TrackingMetrics:
    """What was taken, and what became of it; where the rest waits."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, help_: str) -> Counter:
            return Counter(name, help_, (), PREFIX, registry=registry)

        def gauge(name: str, help_: str) -> Gauge:
            return Gauge(name, help_, (), PREFIX, registry=registry)

        self.accepted = counter("events_accepted", "Events that clients were told are taken")
        self.stored = counter("events_stored", "Events written to the database")
        self.deduplicated = counter("events_deduplicated", "Events that were there already")
        self.conflicts = counter(
            "events_conflicts", "Deduplicated events that said something else than the first"
        )
        self.dropped = Counter(
            "events_dropped",
            "Events that were lost, by the reason; of unreadable ones, the records",
            ("reason",),
            PREFIX,
            registry=registry,
        )
        for reason in REASONS:
            self.dropped.labels(reason)
        self.in_memory = gauge("events_in_memory", "Events that wait for the disk")
        self.on_disk = gauge("events_on_disk", "Events on the disk that wait for the database")
        self.spill_bytes = gauge("events_spill_bytes", "Bytes that the spill file uses")

    def watch(
        self,
        in_memory: Callable[[], float],
        on_disk: Callable[[], float],
        spill_bytes: Callable[[], float],
    ) -> None:
        """The gauges ask these from now on."""
        self.in_memory.set_function(in_memory)
        self.on_disk.set_function(on_disk)
        self.spill_bytes.set_function(spill_bytes)


def tracking_metrics(registry: CollectorRegistry) -> TrackingMetrics:
    """The metrics in a registry; actors that restart count on."""
    return in_registry(registry, TrackingMetrics)
