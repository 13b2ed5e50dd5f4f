"""The metrics of rows of imports made ready, in the registry of the actor system."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from actors.core.preparing import PreparedStep
from runtime.registries import in_registry
from runtime.tallies import Counter
from runtime.telemetry import PREFIX

BESIDE, HERE = "beside", "here"


class PreparingMetrics:
    """Where: `beside`, in a process of its own, or `here`, in the one with the requests."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rows = Counter(
            "core_import_rows_prepared",
            "Rows of imports of customers made ready, and by which process",
            ("where",),
            PREFIX,
            registry=registry,
        )

    def count(self, where: str, steps: Sequence[PreparedStep]) -> None:
        rows = sum(len(step.lines) + len(step.errors) for step in steps)
        self._rows.labels(where).inc(rows)


def preparing_metrics(registry: CollectorRegistry) -> PreparingMetrics:
    """The metrics in a registry; an actor that restarts counts on."""
    return in_registry(registry, PreparingMetrics)
