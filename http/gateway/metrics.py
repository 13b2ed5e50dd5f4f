"""The metrics of HTTP requests, in the registry of the actor system."""

from typing import Final
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from gateway.routes import Answer
from runtime.telemetry import PREFIX

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
"""What a client may make up is never a label."""

UNMATCHED: Final = "unmatched"


class HttpMetrics:
    """Counts and times requests. Children of labels are kept, as looking them up is slow."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "http_requests",
            "Requests answered",
            ("domain", "route", "method", "code"),
            PREFIX,
            registry=registry,
        )
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Time from the head of a request to its answer",
            ("route",),
            PREFIX,
            buckets=BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "http_requests_in_flight", "Requests being worked on", (), PREFIX, registry=registry
        )
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._turned_away: dict[bytes, Counter] = {}
        self._histograms: dict[str, Histogram] = {}

    def observe(self, domain: str, route: str, method: str, status: int, seconds: float) -> None:
        """One request has been answered. `domain` is the area of the API that it was for."""
        counter = self._counters.get((route, method, status))
        if counter is None:
            label = method if method in METHODS else "OTHER"
            counter = self._requests.labels(domain, route, label, str(status))
            if label == method:
                self._counters[route, method, status] = counter
        counter.inc()
        histogram = self._histograms.get(route)
        if histogram is None:
            histogram = self._histograms[route] = self._seconds.labels(route)
        histogram.observe(seconds)

    def turned_away(self, method: bytes) -> None:
        """One request has been refused before it was known what for."""
        counter = self._turned_away.get(method)
        if counter is None:
            name = method.decode()
            label = name if name in METHODS else "OTHER"
            counter = self._requests.labels(UNMATCHED, UNMATCHED, label, "503")
            if label == name:
                self._turned_away[method] = counter
        counter.inc()


_metrics: WeakKeyDictionary[CollectorRegistry, HttpMetrics] = WeakKeyDictionary()


def http_metrics(registry: CollectorRegistry) -> HttpMetrics:
    """The metrics in a registry; a listener that restarts counts on."""
    metrics = _metrics.get(registry)
    if metrics is None:
        metrics = _metrics[registry] = HttpMetrics(registry)
    return metrics


def exposition(registry: CollectorRegistry) -> Answer:
    """Everything in the registry, as Prometheus reads it."""
    return Answer(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
