"""The metrics of HTTP requests, in the registry of the actor system."""

from typing import Final

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from gateway.rate_limits import rejections
from gateway.routes import Answer
from runtime.registries import in_registry
from runtime.tallies import Counter, Histogram
from runtime.telemetry import PREFIX

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.4, 0.5, 1.0, 2.5, 5.0)
"""250 and 400 ms are bounds of the service's objectives."""

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
            ("domain", "route", "method"),
            PREFIX,
            buckets=BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "http_requests_in_flight", "Requests being worked on", (), PREFIX, registry=registry
        )
        self.live_connections = Gauge(
            "live_connections", "WebSockets to /v1/live", (), PREFIX, registry=registry
        )
        self.rejections = rejections(registry)
        self.denials = Counter(
            "authz_denials",
            "Requests that were not allowed, by the code of their problem",
            ("reason",),
            PREFIX,
            registry=registry,
        )
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._turned_away: dict[bytes, Counter] = {}
        self._histograms: dict[tuple[str, str], Histogram] = {}

    def observe(self, domain: str, route: str, method: str, status: int, seconds: float) -> None:
        """One request has been answered. `domain` is the area of the API that it was for."""
        counter = self._counters.get((route, method, status))
        if counter is None:
            counter = self._requests.labels(domain, route, _label(method), str(status))
            if method in METHODS:
                self._counters[route, method, status] = counter
        counter.inc()
        histogram = self._histograms.get((route, method))
        if histogram is None:
            histogram = self._seconds.labels(domain, route, _label(method))
            if method in METHODS:
                self._histograms[route, method] = histogram
        histogram.observe(seconds)

    def turned_away(self, method: bytes) -> None:
        """One request has been refused before it was known what for."""
        counter = self._turned_away.get(method)
        if counter is None:
            name = method.decode()
            counter = self._requests.labels(UNMATCHED, UNMATCHED, _label(name), "503")
            if name in METHODS:
                self._turned_away[method] = counter
        counter.inc()


def _label(method: str) -> str:
    return method if method in METHODS else "OTHER"


def http_metrics(registry: CollectorRegistry) -> HttpMetrics:
    """The metrics in a registry; a listener that restarts counts on."""
    return in_registry(registry, HttpMetrics)


def exposition(registry: CollectorRegistry) -> Answer:
    """Everything in the registry, as Prometheus reads it."""
    return Answer(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
