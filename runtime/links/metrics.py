"""The metrics of links. Labels are the names of peers, from the specification, and fixed words."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

from runtime.tallies import Counter, Histogram

PREFIX = "loyalnest"

ROUND_TRIP_BUCKETS = (0.0002, 0.001, 0.005, 0.02, 0.1, 0.5, 2.0)

SENT, RECEIVED = "sent", "received"


class LinkMetrics:
    """Of all links of one shard. Gauges are read when somebody looks."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._up = self._gauge("link_up", "Whether there is a link to this shard")
        self._outstanding = self._gauge(
            "link_outstanding", "Asks that the other shard has not answered"
        )
        self._serving = self._gauge(
            "link_serving", "Asks of the other shard that are worked on here"
        )
        self._credit = self._gauge(
            "link_credit", "Messages that the other shard still takes before it grants more"
        )
        self._frames = self._counter("link_frames", "Frames over a link", "direction")
        self._bytes = self._counter("link_bytes", "Bytes over a link", "direction")
        self._sessions = self._counter("link_sessions", "Links that came up")
        self._failures = self._counter(
            "link_failures", "Links that ended, or did not come up, by why", "reason"
        )
        self._round_trip = Histogram(
            "link_round_trip_seconds",
            "Time between a ping and its answer",
            ("peer",),
            PREFIX,
            buckets=ROUND_TRIP_BUCKETS,
            registry=registry,
        )

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, ("peer",), PREFIX, registry=self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, ("peer", *labels), PREFIX, registry=self._registry)

    def watch(
        self, peer: str, up: Reader, outstanding: Reader, serving: Reader, credit: Reader
    ) -> None:
        """Read these when somebody looks; everything else begins at zero."""
        self._up.labels(peer).set_function(up)
        self._outstanding.labels(peer).set_function(outstanding)
        self._serving.labels(peer).set_function(serving)
        self._credit.labels(peer).set_function(credit)
        self._sessions.labels(peer)
        self._round_trip.labels(peer)
        for direction in (SENT, RECEIVED):
            self._frames.labels(peer, direction)
            self._bytes.labels(peer, direction)

    def moved(self, peer: str, direction: str, frames: int, size: int) -> None:
        self._frames.labels(peer, direction).inc(frames)
        self._bytes.labels(peer, direction).inc(size)

    def came_up(self, peer: str) -> None:
        self._sessions.labels(peer).inc()

    def failed(self, peer: str, reason: str) -> None:
        self._failures.labels(peer, reason).inc()

    def round_trip(self, peer: str, seconds: float) -> None:
        self._round_trip.labels(peer).observe(seconds)


Reader = Callable[[], float]
