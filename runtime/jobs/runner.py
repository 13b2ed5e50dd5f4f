"""The job runner: claims jobs, runs their handlers, renews the leases."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
import trio

from runtime.actor import Actor
from runtime.child import Backoff
from runtime.coalescing import until_next
from runtime.context import Context, current
from runtime.errors import ActorError
from runtime.exits import ExitReason
from runtime.jobs.endings import (
    Done,
    Ending,
    Failed,
    Lost,
    Postponed,
    ending_of,
    outcome_of,
    verdict_of,
)
from runtime.jobs.handlers import JobHandler
from runtime.jobs.lane import Attempt, Lane
from runtime.jobs.messages import (
    CHANNEL,
    JOBS,
    GetRunnerStatistics,
    JobsAdded,
    QueueStatistics,
    RunnerStatistics,
)
from runtime.jobs.metrics import JobMetrics, job_metrics
from runtime.jobs.model import ENDED, Job, JobState, Leases, QueuePolicy
from runtime.jobs.queries import INSERT_JOB
from runtime.jobs.rescue import Rescuer
from runtime.jobs.settling import COMMIT_TIMEOUT_S, Settler
from runtime.jobs.store import JobStore
from runtime.journal import JOURNAL, Append, Sure
from runtime.outbox import Nudge
from runtime.ownership import Ownership
from runtime.parking import monotonic
from runtime.storage import ConstraintViolation, Database, StorageError
from runtime.tracing import Span, SpanKind
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.jobs")

POLL_S = 1.0
"""How often the queues are looked at where others may write without a notice, and where something
waits: a job starts at most so much too late."""

STEP_S = 5.0
"""The longest pause between two looks: bounds what a step of the wall clock does, or a nudge that
was lost in a crash."""

SURE_S = 0.1
"""How long a commit says that the next one will go through as well."""

GRACE_S = 2.0
"""How long a stop waits for handlers to end by themselves."""

UNKNOWN_NAME_DELAY_S = 60.0
"""A job that no handler here knows is left to a newer process for so long."""


class JobRunner(Actor):
    """Runs the jobs of its queues, each queue a bulkhead of its own.

    While the store is away it waits and goes on. When it stops, jobs whose handlers do not end
    within `GRACE_S` are given back without counting the attempt.
    """

    def __init__(
        self,
        database: Database,
        policies: Sequence[QueuePolicy],
        handlers: Mapping[str, JobHandler],
        leases: Leases,
        ownership: Ownership,
    ) -> None:
        self._database = database
        self._store = JobStore(database)
        self._lanes = {
            policy.name: Lane(policy, policy.leases if policy.leases is not None else leases)
            for policy in policies
        }
        self._ownership = ownership
        self._busy = False
        self._written = trio.Event()
        self._rest = trio.CancelScope()
        self._lapsed = trio.Event()
        self._handlers = handlers
        self._backoff = Backoff()
        self._stopping = False
        self._worker = ""
        self._skew = timedelta()
        self._metrics: JobMetrics
        self._settler: Settler
        self._rescuer: Rescuer

    async def started(self) -> None:
        self._worker = self.system.ids.new("worker")
        self._metrics = job_metrics(self.system.metrics.registry)
        self._settler = Settler(self.system, self._store)
        self._rescuer = Rescuer(self.system, self._store, self._metrics)
        self.start_task(self._listen)
        if self._lanes:
            self.start_task(self._keep_looking)
            self.start_task(self._keep_rescuing)
        for lane in self._lanes.values():
            self.start_task(self._serve, lane)

    async def receive(self, message: Any) -> object:
        match message:
            case Nudge():
                self._written.set()
                return None
            case GetRunnerStatistics():
                return self._statistics()
        return await super().receive(message)

    def _statistics(self) -> RunnerStatistics:
        return RunnerStatistics(
            self._worker,
            tuple(
                QueueStatistics(lane.policy.name, len(lane.attempts), lane.policy.concurrency)
                for lane in self._lanes.values()
            ),
        )

    async def stopped(self, reason: ExitReason) -> None:
        self._stopping = True
        lanes = self._lanes.values()
        for lane in lanes:
            async with lane.claiming:
                lane.nudge()
        # Without a journal nothing can be committed, and whoever restarts it waits for this.
        if self.system.ref(JOURNAL).alive:
            with trio.move_on_after(GRACE_S):
                await self._idle()
        for lane in lanes:
            for attempt in lane.attempts.values():
                attempt.release()
        await self._idle()

    async def _idle(self) -> None:
        for lane in self._lanes.values():
            await lane.emptied()

    async def _store_now(self) -> datetime:
        """The time on the store's clock; how far ours is off is kept for `_now`."""
        if not self._store.has_clock:
            return self.system.clock.now()
        now = await self._store.now(self.system.clock)
        self._skew = now - self.system.clock.now()
        return now

    def _now(self) -> datetime:
        """The time on the store's clock, as far as it is known."""
        return self.system.clock.now() + self._skew

    async def _serve(self, lane: Lane) -> None:
        failures, trouble = 0, Trouble(log, "claim_failed", "claims_work_again")
        while not self._stopping:
            await lane.nudged()
            try:
                while not self._stopping and await self._claim(lane):
                    pass
                failures = 0
                trouble.ended(queue=lane.policy.name)
            except (ActorError, StorageError) as error:
                failures += 1
                trouble.failed(error, queue=lane.policy.name)
                lane.nudge()
                await trio.sleep(self._backoff.delay_s(failures + 1, self.system.random))

    async def _keep_looking(self) -> None:
        """Look when something comes due, and soon after something was written about jobs."""
        trouble = Trouble(log, "queues_not_looked_at", "queues_looked_at_again")
        while True:
            self._written, self._rest = trio.Event(), trio.CancelScope()
            pause_s = POLL_S
            try:
                pause_s = await self._look()
                trouble.ended()
            except StorageError as error:
                trouble.failed(error)
            self._rest.deadline = monotonic() + pause_s
            with self._rest:
                await self._written.wait()
                await trio.sleep(POLL_S)

    async def _look(self) -> float:
        """Wake lanes that have something to claim: one question for all of them, since a claim of
        each would be what a program without jobs does most. Answered with the pause until the next
        look: a long one where nobody else wrote when this one began, and nothing is due."""
        ahead = self._ownership.alone and not self._busy
        queues = [name for name, lane in self._lanes.items() if lane.room > 0] or [*self._lanes]
        now, here = await self._store_now(), self.system.clock.now()
        seen = await self._store.look(queues, now=now, here=here)
        for name in seen.due:
            self._lanes[name].nudge()
        if seen.leased_until is not None and seen.leased_until <= now:
            self._lapsed.set()
        self._busy = bool(seen.due)
        if self._busy or not ahead:
            return POLL_S
        pause_s = min(_pause_s(seen.leased_until, now), _pause_s(seen.first_due, max(now, here)))
        return pause_s if pause_s < STEP_S else until_next(STEP_S)

    async def _claim(self, lane: Lane) -> bool:
        """Take jobs as far as there is room; whether there may be more of both."""
        room = lane.room
        lane.starved = room <= 0
        if lane.starved:
            return False
        lease_s = lane.leases.lease_s
        await self._require_journal()
        async with lane.claiming:
            if self._stopping:
                return False
            asked_at, nudges = monotonic(), lane.nudges
            now = await self._store_now()
            jobs = await self._store.claim(
                lane.policy.name,
                limit=room,
                worker=self._worker,
                now=now,
                until=now + timedelta(seconds=lease_s),
                here=self.system.clock.now(),
            )
            for job in jobs:
                attempt = Attempt(job, asked_at, asked_at + lease_s, nudges)
                lane.enter(attempt)
                self.start_task(self._run, lane, attempt)
            if lane.attempts and lane.keeping is None:
                lane.keeping = trio.CancelScope()
                self.start_task(self._keep_leases, lane, lane.keeping)
        lane.starved = len(jobs) == room
        return lane.starved and lane.room > 0

    async def _require_journal(self) -> None:
        """Raises when it cannot commit, because its partition was taken over, say: it could not
        end a job either. One that has just committed need not be asked."""
        journal = self.system.ref(JOURNAL)
        sure = journal.notice
        if not isinstance(sure, Sure) or monotonic() - sure.at > SURE_S:
            await journal.ask(Append(()), timeout_s=COMMIT_TIMEOUT_S)

    async def _listen(self) -> None:
        """Wake lanes when a job of theirs was announced."""
        trouble = Trouble(log, "not_listening_for_jobs", "listening_for_jobs_again")
        while True:
            try:
                async with self._database.listen(CHANNEL) as notices:
                    trouble.ended()
                    async for queue in notices:
                        self._nudge(queue)
            except StorageError as error:
                trouble.failed(error)
            await trio.sleep(POLL_S)

    def _nudge(self, queue: str) -> None:
        """An empty notice says that others may have been lost: a look finds what they told of."""
        if queue in self._lanes:
            self._lanes[queue].nudge()
        elif not queue:
            self._rest.cancel()
            for lane in self._lanes.values():
                if lane.room <= 0:
                    lane.nudge()

    async def _run(self, lane: Lane, attempt: Attempt) -> None:
        job, policy = attempt.job, lane.policy
        begun = self._begin_span(job)
        trace = begun.traceparent if begun is not None else job.trace_id
        try:
            ending = await self._handle(policy, attempt, trace)
            current.set(Context(trace_id=trace))
            outcome = await self._settle(policy, attempt, ending)
            if begun is not None:
                begun.set("loyalnest.job.outcome", outcome)
            self._metrics.ended(policy.name, outcome, monotonic() - attempt.claimed_at)
        finally:
            lane.leave(attempt)
            if begun is not None:
                begun.end()

    def _begin_span(self, job: Job) -> Span | None:
        if self.system.tracing is None:
            return None
        begun = self.system.tracing.begin_root(f"job {job.name}", SpanKind.CONSUMER, job.trace_id)
        begun.set("loyalnest.job.id", job.job_id)
        begun.set("loyalnest.job.attempt", job.attempt)
        return begun

    async def _handle(self, policy: QueuePolicy, attempt: Attempt, trace: str | None) -> Ending:
        """Run the handler, within the lease and the attempt's own time."""
        job = attempt.job
        handler = self._handlers.get(job.name)
        if handler is None:
            return Postponed(UNKNOWN_NAME_DELAY_S, f"no handler for {job.name} here")
        timeout_s = policy.attempt_timeout_s
        current.set(Context(deadline=monotonic() + timeout_s, trace_id=trace))
        try:
            with attempt.scope:
                with trio.move_on_after(timeout_s):
                    return Done(tuple(await handler(job, self.system)))
                return Failed(f"the attempt took longer than {timeout_s:g} s")
        except Exception as error:
            return ending_of(error)
        return Postponed(0.0, "the program stopped") if attempt.released else Lost()

    async def _settle(self, policy: QueuePolicy, attempt: Attempt, ending: Ending) -> str:
        """Write what became of the attempt; its outcome for the metrics."""
        job = attempt.job
        if isinstance(ending, Lost):
            return self._lost(job)
        now, random = self._now(), self.system.random
        effects = ending.effects if isinstance(ending, Done) else ()
        verdict = verdict_of(ending, job, policy, now, random)
        settled = await self._settler.settle(attempt, verdict, effects, now)
        if isinstance(settled, ConstraintViolation) and effects:
            broken = Failed(f"{type(settled).__name__}: {settled}")
            return await self._settle(policy, attempt, broken)
        if settled is not None:
            return self._lost(job)
        attempt.over = verdict.state in ENDED
        self._report(job, ending, verdict.state)
        for queue in {write.row[2] for write in effects if write.statement is INSERT_JOB}:
            self.system.ref(JOBS).tell(JobsAdded(queue))
        return outcome_of(ending, verdict)

    def _lost(self, job: Job) -> str:
        log.warning("job_lease_lost", job=job.job_id, queue=job.queue, name=job.name)
        return "lost"

    def _report(self, job: Job, ending: Ending, state: JobState) -> None:
        if isinstance(ending, Failed):
            log.warning(
                "job_failed",
                job=job.job_id,
                queue=job.queue,
                name=job.name,
                attempt=job.attempt,
                error=ending.error[:500],
                trace_id=job.trace_id,
            )
        if state is JobState.DEAD:
            self._metrics.died(job)

    async def _keep_leases(self, lane: Lane, scope: trio.CancelScope) -> None:
        """As long as there is something to keep."""
        trouble = Trouble(log, "heartbeat_failed", "heartbeat_works_again")
        with scope:
            while True:
                await trio.sleep(lane.leases.heartbeat_s)
                try:
                    await self._beat(lane)
                    trouble.ended(queue=lane.policy.name)
                except StorageError as error:
                    trouble.failed(error, queue=lane.policy.name)

    async def _beat(self, lane: Lane) -> None:
        lease_s = lane.leases.lease_s
        asked_at = monotonic()
        until = await self._store_now() + timedelta(seconds=lease_s)
        renewed = await self._store.beat(lane.policy.name, worker=self._worker, until=until)
        for token in renewed & lane.attempts.keys():
            lane.attempts[token].renew(asked_at + lease_s)

    async def _keep_rescuing(self) -> None:
        """Whenever a look finds that a lease has run out."""
        trouble = Trouble(log, "rescue_failed", "rescue_works_again")
        while True:
            await self._lapsed.wait()
            self._lapsed = trio.Event()
            try:
                await self._rescuer.rescue(tuple(self._lanes.values()), await self._store_now())
                trouble.ended()
            except StorageError as error:
                trouble.failed(error)


def _pause_s(until: datetime | None, now: datetime) -> float:
    """Not shorter than `POLL_S`, however much comes due, nor longer than `STEP_S`."""
    if until is None:
        return STEP_S
    return min(max((until - now).total_seconds(), POLL_S), STEP_S)
