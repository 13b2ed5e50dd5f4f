"""The metrics of jobs, in the registry of the actor system."""

from collections.abc import Mapping
from functools import cache

import structlog
from prometheus_client import CollectorRegistry, Gauge

from runtime.jobs.messages import QueueDepth
from runtime.jobs.model import Job, JobState
from runtime.registries import in_registry
from runtime.tallies import Counter, Histogram
from runtime.telemetry import PREFIX

log = structlog.get_logger("loyalnest.jobs")

BUCKETS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0)


class JobMetrics:
    """Counts and times jobs by queue.

    Outcomes of an attempt: `succeeded`, `retried`, `postponed`, `dead`, and `lost` when the
    lease was another's by the end.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.attempts = Counter(
            "jobs", "Attempts ended", ("queue", "outcome"), PREFIX, registry=registry
        )
        self.seconds = Histogram(
            "job_duration_seconds",
            "Time from the claim of a job to the end of the attempt",
            ("queue",),
            PREFIX,
            buckets=BUCKETS,
            registry=registry,
        )
        self.rescued = Counter(
            "jobs_rescued",
            "Jobs taken from workers whose lease ran out",
            ("queue",),
            PREFIX,
            registry=registry,
        )
        self.dead = Counter("jobs_dead", "Jobs that died", ("queue",), PREFIX, registry=registry)
        self.depth = Gauge(
            "queue_depth", "Jobs by state", ("queue", "state"), PREFIX, registry=registry
        )
        self.depth_limit = Gauge(
            "queue_depth_limit",
            "Jobs waiting or running at which enqueueing is refused",
            ("queue",),
            PREFIX,
            registry=registry,
        )
        self.oldest = Gauge(
            "queue_oldest_age_seconds",
            "How long ago the job that waits longest came due",
            ("queue",),
            PREFIX,
            registry=registry,
        )
        self._depth = cache(self.depth.labels)
        self._depth_limit = cache(self.depth_limit.labels)
        self._oldest = cache(self.oldest.labels)
        self._attempts = cache(self.attempts.labels)
        self._seconds = cache(self.seconds.labels)

    def counted(self, depth: QueueDepth, counts: Mapping[JobState, int]) -> None:
        """What a queue holds by now. Which labels there are is looked up once for each."""
        self._depth_limit(depth.queue).set(depth.depth_max)
        self._oldest(depth.queue).set(depth.oldest_age_s)
        for state, count in counts.items():
            self._depth(depth.queue, state.value).set(count)

    def ended(self, queue: str, outcome: str, took_s: float) -> None:
        """An attempt ended, so long after its claim."""
        self._attempts(queue, outcome).inc()
        self._seconds(queue).observe(took_s)

    def expect(self, queue: str) -> None:
        """Begin at zero: what appears with its first event has not grown, to those who watch."""
        self.dead.labels(queue)
        self.rescued.labels(queue)

    def died(self, job: Job) -> None:
        """A job became a dead letter."""
        self.dead.labels(job.queue).inc()
        log.error("job_dead", job=job.job_id, queue=job.queue, trace_id=job.trace_id)


def job_metrics(registry: CollectorRegistry) -> JobMetrics:
    """The metrics in a registry; actors that restart count on."""
    return in_registry(registry, JobMetrics)
