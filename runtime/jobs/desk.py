"""The desk of the job queue: enqueues, tells depths, cancels jobs, keeps the dead letters."""

from collections.abc import Sequence
from typing import Any, ClassVar

import structlog
import trio

from runtime.coalescing import until_next
from runtime.context import current_trace_id
from runtime.errors import ActorError
from runtime.jobs.depths import Depths
from runtime.jobs.messages import (
    CHANNEL,
    CancelJob,
    Enqueue,
    Enqueued,
    GetDeadLetter,
    GetJob,
    GetQueueDepth,
    JobRefusal,
    JobsAdded,
    ListDeadLetters,
    ListQueues,
    PutBack,
    QueueDepth,
    QueueFull,
)
from runtime.jobs.metrics import JobMetrics, job_metrics
from runtime.jobs.model import LIVE, Job, JobNote, JobState, NewJob, QueuePolicy
from runtime.jobs.store import JobStore, cancel_write, job_write, put_back_write
from runtime.journal import JOURNAL, Append
from runtime.storage import (
    ConstraintViolation,
    Database,
    Entry,
    StorageError,
    Superseded,
)
from runtime.storage.outbox import event_write
from runtime.trouble import Trouble
from runtime.workers import Workers

log = structlog.get_logger("loyalnest.jobs")

ENQUEUE_TRIES = 3
"""How often a job is written whose twins end just then."""

COUNT_S = 5.0
"""How often the queues are counted."""


COUNTED = (*LIVE, JobState.DEAD)


class JobDesk(Workers):
    """Answers everybody who has to do with jobs, except those who run them."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database, policies: Sequence[QueuePolicy]) -> None:
        super().__init__()
        self._store = JobStore(database)
        self._depths = Depths({policy.name: policy for policy in policies})
        self._metrics: JobMetrics

    async def started(self) -> None:
        self._metrics = job_metrics(self.system.metrics.registry)
        for queue in self._depths.queues():
            self._metrics.expect(queue)
        self.start_task(self._keep_counting)

    async def receive(self, message: Any) -> object:
        match message:
            case Enqueue():
                return await self._enqueue(message)
            case JobsAdded():
                await self._announce(message.queue)
                return None
            case GetQueueDepth():
                return self._depth(message.queue)
            case ListQueues():
                return tuple(map(self._depth, self._depths.queues()))
            case CancelJob():
                return await self._cancel(message)
            case PutBack():
                return await self._put_back(message)
            case GetJob():
                return await self._store.get(message.merchant_id, message.job_id)
            case GetDeadLetter():
                return await self._store.letter(message.job_id)
            case ListDeadLetters():
                return tuple(await self._store.list_dead(message.before, message.limit))
        return await super().receive(message)

    def _depth(self, queue: str) -> QueueDepth:
        return self._depths.depth(queue, self.system.clock.now())

    async def _enqueue(self, message: Enqueue) -> Enqueued | QueueFull:
        job = message.job
        depth = self._depth(job.queue)
        if depth.full:
            return QueueFull(job.queue, depth.depth, COUNT_S)
        for _ in range(ENQUEUE_TRIES):
            enqueued = await self._write(job)
            if enqueued is not None:
                return enqueued
        return QueueFull(job.queue, depth.depth, COUNT_S)

    async def _write(self, job: NewJob) -> Enqueued | None:
        """None when a live twin kept the job from being written, and is not live any more."""
        job_id = self.system.ids.new("job")
        now = self.system.clock.now()
        await self._append((job_write(job, job_id=job_id, now=now, trace_id=current_trace_id()),))
        if job.unique_key is not None and await self._store.get(job.merchant_id, job_id) is None:
            twin = await self._store.live_twin(job)
            return Enqueued(twin, duplicate=True) if twin is not None else None
        self._depths.added(job.queue)
        await self._announce(job.queue)
        return Enqueued(job_id)

    async def _announce(self, queue: str) -> None:
        """Without it the job would start a little later, so a failure does not matter."""
        try:
            await self._store.notify(CHANNEL, queue)
        except StorageError as error:
            log.info("notice_failed", queue=queue, error=str(error)[:500])

    async def _cancel(self, message: CancelJob) -> Job | JobRefusal:
        job = await self._store.get(message.merchant_id, message.job_id)
        if job is None:
            return JobRefusal.NOT_FOUND
        if job.state not in LIVE:
            return JobRefusal.ENDED
        note = JobNote(self.system.clock.now(), "cancel", message.by, message.reason)
        try:
            await self._append((cancel_write(job, note),))
        except Superseded:
            return JobRefusal.ENDED
        log.info("job_cancelled", job=job.job_id, queue=job.queue, by=message.by)
        await self._announce(job.queue)
        return job

    async def _put_back(self, message: PutBack) -> Job | JobRefusal:
        job = await self._store.letter(message.job_id)
        if job is None:
            return JobRefusal.NOT_FOUND
        if job.state is not JobState.DEAD:
            return JobRefusal.ENDED
        note = JobNote(self.system.clock.now(), "put_back", message.by, message.reason)
        try:
            events = tuple(map(event_write, message.publishes))
            await self._append((put_back_write(job, note), *events), publishes=bool(events))
        except Superseded:
            return JobRefusal.ENDED
        except ConstraintViolation:
            return JobRefusal.DUPLICATE
        log.info("job_put_back", job=job.job_id, queue=job.queue, by=message.by)
        await self._announce(job.queue)
        return await self._store.get(job.merchant_id, job.job_id) or JobRefusal.NOT_FOUND

    async def _append(self, entry: Entry, *, publishes: bool = False) -> None:
        """Raises the violation of an entry that was rejected."""
        answer = await self.system.ref(JOURNAL).ask(Append(entry, publishes))
        if answer is not None:
            raise answer.violation

    async def _keep_counting(self) -> None:
        trouble = Trouble(log, "queues_not_counted", "queues_counted_again")
        while True:
            try:
                await self._count()
                trouble.ended()
            except StorageError as error:
                trouble.failed(error)
            await trio.sleep(until_next(COUNT_S))

    async def _count(self) -> None:
        counts = await self._store.counts()
        oldest = await self._store.oldest(sorted(counts)) if counts else {}
        new = self._depths.counted(counts, oldest)
        for depth in map(self._depth, new):
            by_state = {state: self._depths.count(depth.queue, state) for state in COUNTED}
            self._metrics.counted(depth, by_state)
