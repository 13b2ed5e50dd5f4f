"""The metrics of the outbox and the inbox."""

from collections import Counter as Tally
from collections.abc import Sequence
from functools import cache

from prometheus_client import CollectorRegistry, Gauge

from runtime.outbox import OutboxEvent
from runtime.tallies import Counter


class OutboxMetrics:
    """Topics are named in the program, so there are few of them.

    Outcomes, counted for each consumer: `delivered`, `late` (not taken at once), `failed` (an
    attempt), `dead`, `put back`; and `unsubscribed`, of events nobody wants.
    """

    def __init__(self, registry: CollectorRegistry, prefix: str) -> None:
        self._events = Counter(
            "outbox_events",
            "What became of events",
            ("topic", "outcome"),
            prefix,
            registry=registry,
        )
        self._counter = cache(self._events.labels)
        self.backlog = Gauge(
            "outbox_backlog", "Events not delivered yet", (), prefix, registry=registry
        )
        self.lag = Gauge(
            "outbox_lag_seconds",
            "Age of the oldest event that is neither delivered nor dead",
            (),
            prefix,
            registry=registry,
        )
        self._dead = Counter(
            "outbox_dead", "Events a consumer failed on too often", (), prefix, registry=registry
        )
        self.inbox_pruned = Counter(
            "inbox_pruned", "Inbox rows forgotten", (), prefix, registry=registry
        )

    def count(self, outcome: str, events: Sequence[OutboxEvent]) -> None:
        """Which labels there are is looked up once for each."""
        for topic, number in Tally(event.topic for event in events).items():
            self._counter(topic, outcome).inc(number)

    def died(self, event: OutboxEvent) -> None:
        self.count("dead", (event,))
        self._dead.inc()
