"""The metrics of the database, in the registry of the actor system."""

from functools import cache

from prometheus_client import CollectorRegistry

from runtime.tallies import Counter, Histogram
from runtime.telemetry import PREFIX

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class DatabaseMetrics:
    """Outcomes: `ok`, `rejected` (a constraint), `unavailable`, `unknown` (a commit in doubt),
    `failed` and `cancelled`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.operations = Counter(
            "database_operations",
            "Uses of the database, by how they ended",
            ("operation", "outcome"),
            PREFIX,
            registry=registry,
        )
        self.seconds = Histogram(
            "database_operation_seconds",
            "Time of one use of the database, the wait for a connection included",
            ("operation",),
            PREFIX,
            buckets=BUCKETS,
            registry=registry,
        )
        self._counting = cache(self.operations.labels)
        self._timing = cache(self.seconds.labels)

    def used(self, operation: str, outcome: str, took_s: float) -> None:
        """Count one use. Which labels there are is looked up once for each."""
        self._counting(operation, outcome).inc()
        self._timing(operation).observe(took_s)
