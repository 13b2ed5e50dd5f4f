"""Rescue: taking jobs back from workers that died, froze or were cut off."""

from datetime import datetime

import attrs
import structlog

from runtime.jobs.lane import Lane
from runtime.jobs.metrics import JobMetrics
from runtime.jobs.model import Job, JobState, Verdict, failure
from runtime.jobs.store import JobStore, rescue_write
from runtime.journal import JOURNAL, Append
from runtime.ref import ask_all
from runtime.system import ActorSystem

log = structlog.get_logger("loyalnest.jobs")

BATCH = 100
"""Jobs rescued at once, beside those that run here."""


@attrs.frozen
class Rescuer:
    """Ends attempts whose lease has run out, as failed ones. Several may try: one succeeds."""

    _system: ActorSystem
    _store: JobStore
    _metrics: JobMetrics

    async def rescue(self, lane: Lane, now: datetime) -> None:
        """Look through one queue. What runs in this process is left to its own scopes, so that a
        step of the clock takes nothing away from them. Raises `StorageError`."""
        policy = lane.policy
        limit = BATCH + policy.concurrency
        expired = await self._store.expired(policy.name, now=now, limit=limit)
        orphans = [job for job in expired if job.token not in lane.attempts]
        if not orphans:
            return
        verdicts = [failure(job, policy, _error(job), now, self._system.random) for job in orphans]
        pairs = list(zip(orphans, verdicts, strict=True))
        journal = self._system.ref(JOURNAL)
        asks = [(journal, Append((rescue_write(job, verdict, now),))) for job, verdict in pairs]
        answers = await ask_all(asks)
        for (job, verdict), answer in zip(pairs, answers, strict=True):
            if answer is None:
                self._rescued(job, verdict)
        lane.nudge()

    def _rescued(self, job: Job, verdict: Verdict) -> None:
        self._metrics.rescued.labels(job.queue).inc()
        log.warning("job_rescued", job=job.job_id, queue=job.queue, worker=job.worker)
        if verdict.state is JobState.DEAD:
            self._metrics.died(job)


def _error(job: Job) -> str:
    return f"the lease ran out: worker {job.worker} died, froze or was cut off"
