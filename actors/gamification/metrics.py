"""Metrics of the gamification domain."""

from prometheus_client import CollectorRegistry

from runtime.registries import in_registry
from runtime.tallies import Counter, Histogram
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
        outcomes = ("reached", "not_reached", "skipped")
        self._reached, self._not_reached, self._skipped = map(self.rules.labels, outcomes)

    def judged(self, *, reached: int, not_reached: int, skipped: int) -> None:
        """So many rules ended so."""
        self._reached.inc(reached)
        self._not_reached.inc(not_reached)
        self._skipped.inc(skipped)


def gamification_metrics(registry: CollectorRegistry) -> GamificationMetrics:
    """The metrics in a registry; an actor that restarts counts on."""
    return in_registry(registry, GamificationMetrics)
