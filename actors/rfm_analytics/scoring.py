"""The job that works off a run, in steps that are small while others wait for the store.

First the facts of all customers are collected, slice by slice; then the cut points are read off
them; then the slices are scored, in the database; then the run is published. Each step is one
transaction with the place it has come to, so that an attempt goes on where the last one ended.
"""

import attrs
import structlog
import trio

from actors.rfm_analytics.beginning import append
from actors.rfm_analytics.messages import RunState
from actors.rfm_analytics.metrics import rfm_metrics
from actors.rfm_analytics.pacing import SLICE, Pace
from actors.rfm_analytics.publishing import publication
from actors.rfm_analytics.queries import BEGIN_ATTEMPT, END_RUN, HASTEN_SCHEDULE
from actors.rfm_analytics.queue import RFM_QUEUE, prune_job
from actors.rfm_analytics.records import StoredRun, find_run
from actors.rfm_analytics.steps import Steps
from runtime import ActorError
from runtime.child import Backoff
from runtime.jobs import Job, job_write
from runtime.parking import monotonic
from runtime.storage import (
    CommitUnknown,
    Database,
    Entry,
    StorageUnavailable,
    Superseded,
    Write,
)
from runtime.system import ActorSystem

log = structlog.get_logger("loyalnest.rfm")

PATIENCE_S = 15.0
"""A store that is away for longer ends the run."""

CONTESTED_MAX = 20
"""Tries to go on in a row that somebody else's write undid."""


@attrs.define
class Outages:
    """Runs that were given up while nothing could be written, and why.

    That is remembered in the process until it can be written; who forgets it by ending goes on
    with the run.
    """

    _reasons: dict[tuple[str, str], str] = attrs.field(factory=dict)

    def note(self, merchant_id: str, run_id: str, reason: str) -> None:
        self._reasons.setdefault((merchant_id, run_id), reason)

    def reason(self, merchant_id: str, run_id: str) -> str | None:
        return self._reasons.get((merchant_id, run_id))

    def forget(self, merchant_id: str, run_id: str) -> None:
        self._reasons.pop((merchant_id, run_id), None)


@attrs.frozen
class ScoreRun:
    """Goes on where the run is. When the store is away for longer than `PATIENCE_S`, the run is
    skipped: what it has written so far is never read, and the schedule begins another one."""

    database: Database
    outages: Outages = attrs.field(factory=Outages)
    slice_: int = SLICE

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        run_id = str(job.payload["run_id"])
        pace = Pace(system.foreground, self.slice_)
        attempt = _Attempt(system, self.database, self.outages, job, run_id, pace)
        try:
            return await attempt.go_on()
        except Exception as error:
            if job.attempt < RFM_QUEUE.attempts_max:
                raise
            log.error("rfm_run_failed", run=run_id, exc_info=error)
            told = f"given up after {job.attempt} attempts: {type(error).__name__}: {error}"
            return attempt.ended(RunState.FAILED, told[:500])


@attrs.define
class _Attempt:
    """One attempt of the job."""

    system: ActorSystem
    database: Database
    outages: Outages
    job: Job
    run_id: str
    pace: Pace
    away_since: float | None = None
    contested: int = 0

    @property
    def merchant_id(self) -> str:
        return self.job.merchant_id

    async def go_on(self) -> Entry:
        """What ends the run: its publication, or that it is skipped; nothing when it has ended."""
        failures, backoff = 0, Backoff()
        while True:
            try:
                return await self._attempt()
            except Superseded:
                self.contested += 1
                if self.contested >= CONTESTED_MAX:
                    raise
            except (StorageUnavailable, CommitUnknown, ActorError) as error:
                failures = failures + 1 if self.away_since is not None else 1
                if self._lost_patience(error):
                    return self._skipped()
                await trio.sleep(backoff.delay_s(failures + 1, self.system.random))

    def _lost_patience(self, error: Exception) -> bool:
        if self.away_since is None:
            self.away_since = monotonic()
        if monotonic() - self.away_since < PATIENCE_S:
            return False
        reason = f"the database was not available: {error}"
        self.outages.note(self.merchant_id, self.run_id, reason[:500])
        return True

    def _skipped(self) -> Entry:
        """The schedule, if there is one, is due at once: the next run catches up."""
        reason = self.outages.reason(self.merchant_id, self.run_id)
        hasten = Write(HASTEN_SCHEDULE, (self.merchant_id, self.system.clock.now()))
        return (*self.ended(RunState.SKIPPED, reason or ""), hasten)

    def ended(self, state: RunState, reason: str) -> Entry:
        """The run has ended unpublished; what it has written goes."""
        now = self.system.clock.now()
        row = (self.merchant_id, self.run_id, state.value, now, reason)
        job_id, job = self.system.ids.new("job"), prune_job(self.merchant_id)
        prune = job_write(job, job_id=job_id, now=now, trace_id=self.job.trace_id)
        rfm_metrics(self.system.metrics.registry).runs.labels(state.value).inc()
        return (Write(END_RUN, row), prune)

    async def _attempt(self) -> Entry:
        stored = await find_run(self.database, self.merchant_id, self.run_id)
        if stored is None or not stored.live:
            self.outages.forget(self.merchant_id, self.run_id)
            return ()
        if self.outages.reason(self.merchant_id, self.run_id) is not None:
            return self._skipped()
        now = self.system.clock.now()
        begin = (self.merchant_id, self.run_id, stored.step, now, self.job.attempt)
        await append(self.system, (Write(BEGIN_ATTEMPT, begin),), in_background=True)
        steps = Steps(self.system, self.database, self.merchant_id, self.pace)
        place, following = stored, await self._advance(steps, stored)
        while following is not None:
            place, following = following, await self._advance(steps, following)
        return await publication(self.system, self.database, self.job, place)

    async def _advance(self, steps: Steps, place: StoredRun) -> StoredRun | None:
        """One step, and a rest."""
        began = monotonic()
        following = await steps.advance(place)
        self.away_since, self.contested = None, 0
        await self.pace.rest(monotonic() - began)
        return following
