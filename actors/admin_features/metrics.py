"""Metrics of flags."""

from prometheus_client import CollectorRegistry, Gauge

from actors.admin_features.messages import Reason
from runtime.tallies import Counter
from runtime.telemetry import PREFIX


class FlagMetrics:
    """How often flags are evaluated and why they are what they are, how fresh they are, and what
    went wrong with them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        evaluations = Counter(
            "flag_evaluations", "Evaluations of flags", ("reason",), PREFIX, registry=registry
        )
        self.evaluations = {reason: evaluations.labels(reason.value) for reason in Reason}
        self.age = Gauge(
            "flags_age_seconds",
            "Since the flags of this process were last confirmed",
            (),
            PREFIX,
            registry=registry,
        )
        self.revision = Gauge(
            "flags_revision",
            "Grows with every change of a flag that this process knows of",
            (),
            PREFIX,
            registry=registry,
        )
        self.problems = Counter(
            "flags_problems",
            "What could not be read: a flag, the file, or any of the stores",
            ("problem",),
            PREFIX,
            registry=registry,
        )
        for problem in ("flag", "file", "stores"):
            self.problems.labels(problem)
