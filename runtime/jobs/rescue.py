"""Rescue: taking jobs back from workers that died, froze or were cut off."""

from collections.abc import Sequence
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

    async def rescue(self, lanes: Sequence[Lane], now: datetime) -> None:
        """Look through the queues. What runs in this process is left to its own scopes, so that a
        step of the clock takes nothing away from them. Raises `StorageError`."""
        limits = {lane.policy.name: BATCH + lane.policy.concurrency for lane in lanes}
        expired = await self._store.expired(limits, now=now)
        for lane in lanes:
            orphans = await self._orphans(lane, expired[lane.policy.name])
            if orphans:
                await self._end(lane, orphans, now)

    async def _orphans(self, lane: Lane, expired: Sequence[Job]) -> Sequence[Job]:
        """Those that do not run here. One that was claimed, and whose claim is not answered yet, is
        about to."""
        if not expired:
            return ()
        async with lane.claiming:
            return [job for job in expired if job.token not in lane.attempts]

    async def _end(self, lane: Lane, orphans: Sequence[Job], now: datetime) -> None:
        policy, random = lane.policy, self._system.random
        pairs = [(job, failure(job, policy, _error(job), now, random)) for job in orphans]
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
