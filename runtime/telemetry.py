"""The runtime's metrics. Messages are timed by sampling, everything else is counted exactly."""

from collections.abc import Callable, Iterable
from functools import cache

from prometheus_client import CollectorRegistry, Gauge, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily

from runtime.outbox_metrics import OutboxMetrics
from runtime.policies.metrics import PolicyMetrics
from runtime.tallies import Counter, Histogram

PREFIX = "loyalnest"

FAST_BUCKETS = (1e-5, 5e-5, 2e-4, 1e-3, 5e-3, 2e-2, 0.1, 0.5, 2.0, 10.0)
"""Seconds; from a message between idle actors to one behind a stuck store."""


LAG_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0)

disable_created_metrics()  # type: ignore[no-untyped-call]
"""They double the lines of every counter, and the client can leave them out only for good."""


class MailboxDepths:
    """Reads the mailboxes when it is scraped."""

    def __init__(self) -> None:
        self.read: Callable[[], Iterable[tuple[str, int]]] = tuple

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            f"{PREFIX}_actor_mailbox_depth",
            "Unread messages of an actor, or of all entities of a kind",
            labels=("actor",),
        )
        for actor, depth in self.read():
            family.add_metric((actor,), depth)
        yield family


class Metrics:
    """Metrics of one actor system, in a registry of its own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        self._queue_wait = self._histogram(
            "actor_queue_wait_seconds", "Time in the mailbox (sampled)", ("actor",)
        )
        self._service = self._histogram(
            "actor_service_seconds", "Time in the handler (sampled)", ("actor",)
        )
        self._mailboxes = MailboxDepths()
        self.registry.register(self._mailboxes)
        self.loop_lag = Histogram(
            "loop_lag_seconds",
            "How much too late the event loop wakes a task that sleeps",
            (),
            PREFIX,
            buckets=LAG_BUCKETS,
            registry=self.registry,
        )
        self._restarts = Counter(
            "actor_restarts", "Restarts by a supervisor", ("child",), PREFIX, registry=self.registry
        )
        self._dead_letters = Counter(
            "dead_letters", "Messages nobody read", ("reason",), PREFIX, registry=self.registry
        )
        self._dead_letters_by_reason: dict[str, Counter] = {}
        self._handlers_over_limit = Counter(
            "handlers_over_limit",
            "Handlers seen at one message for longer than their hard limit",
            ("actor",),
            PREFIX,
            registry=self.registry,
        )
        self.entities_active = Gauge(
            "entities_active", "Entities in memory", ("region",), PREFIX, registry=self.registry
        )
        self.journal_commits = Counter(
            "journal_commits", "Transactions of the journal", (), PREFIX, registry=self.registry
        )
        self.journal_entries = Counter(
            "journal_entries",
            "Entries handed to the journal",
            ("outcome",),
            PREFIX,
            registry=self.registry,
        )
        self._entry_counter = cache(self.journal_entries.labels)
        self._dependency_up = Gauge(
            "dependency_up",
            "Whether a dependency answers",
            ("dependency",),
            PREFIX,
            registry=self.registry,
        )
        self.policies = PolicyMetrics(self.registry, PREFIX)
        self._define_cache()

    def _define_cache(self) -> None:
        self._cache_operations = Counter(
            "cache_operations",
            "Uses of the cache, by how they ended",
            ("operation", "outcome"),
            PREFIX,
            registry=self.registry,
        )
        self._cache_seconds = self._histogram(
            "cache_operation_seconds", "Time of one use of the cache", ("operation",)
        )
        self._cache_counter = cache(self._cache_operations.labels)
        self._cache_timer = cache(self._cache_seconds.labels)
        for operation, outcome in (("get", "hit"), ("get", "miss"), ("set", "ok")):
            self._cache_counter(operation, outcome)
            self._cache_timer(operation)

        self.outbox = OutboxMetrics(self.registry, PREFIX)

    def _histogram(self, name: str, text: str, labels: tuple[str, ...]) -> Histogram:
        return Histogram(name, text, labels, PREFIX, buckets=FAST_BUCKETS, registry=self.registry)

    def watch_mailboxes(self, read: Callable[[], Iterable[tuple[str, int]]]) -> None:
        """From now on, tell the depths that `read` finds, by the names of actors."""
        self._mailboxes.read = read

    def queue_wait(self, actor: str, seconds: float) -> None:
        self._queue_wait.labels(actor).observe(seconds)

    def service(self, actor: str, seconds: float) -> None:
        self._service.labels(actor).observe(seconds)

    def expect_restarts(self, child: str) -> None:
        """Begin at zero: what appears with its first restart has not grown, to those who watch."""
        self._restarts.labels(child)

    def restarted(self, child: str) -> None:
        self._restarts.labels(child).inc()

    def journal_entry(self, outcome: str, entries: int) -> None:
        """Count entries that ended so. Which labels there are is looked up once for each."""
        self._entry_counter(outcome).inc(entries)

    def expect_handlers(self, actor: str) -> None:
        """Begin at zero, for the same reason."""
        self._handlers_over_limit.labels(actor)

    def handler_over_limit(self, actor: str) -> None:
        self._handlers_over_limit.labels(actor).inc()

    def dead_letter(self, reason: str) -> None:
        counter = self._dead_letters_by_reason.get(reason)
        if counter is None:
            counter = self._dead_letters_by_reason[reason] = self._dead_letters.labels(reason)
        counter.inc()

    def dependency_up(self, dependency: str, up: bool) -> None:
        self._dependency_up.labels(dependency).set(up)

    def cache_operation(self, operation: str, outcome: str, seconds: float) -> None:
        """Count one use. Which labels there are is looked up once for each."""
        self._cache_counter(operation, outcome).inc()
        self._cache_timer(operation).observe(seconds)
