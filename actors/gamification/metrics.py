"""Metrics of the gamification domain."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from runtime.registries import in_registry
from runtime.telemetry import FAST_BUCKETS, PREFIX


class GamificationMetrics:
    """How rules end (`reached`, `not_reached`, `skipped`), what becomes of badges (`awarded`,
    `revoked`), and how often a process was ended over a pattern."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.rules = Counter(
            "gamification_rules", "Rules evaluated", ("outcome",), PREFIX, registry=registry
        )
        self.badges = Counter(
            "gamification_badges",
            "Badges awarded and revoked",
            ("change",),
            PREFIX,
            registry=registry,
        )
        self.ended = Counter(
            "gamification_patterns_ended",
            "Processes that were ended because a pattern took too long",
            (),
            PREFIX,
            registry=registry,
        )
        self.seconds = Histogram(
            "gamification_event_seconds",
            "Time to evaluate all rules of a merchant for what happened to a customer",
            (),
            PREFIX,
            buckets=FAST_BUCKETS,
            registry=registry,
        )


def gamification_metrics(registry: CollectorRegistry) -> GamificationMetrics:
    """The metrics in a registry; an actor that restarts counts on."""
    return in_registry(registry, GamificationMetrics)
