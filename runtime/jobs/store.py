"""The job tables: writes for journal entries, and what the queue's actors ask of the store."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs
import msgspec
from trio.lowlevel import checkpoint

from runtime.jobs.model import (
    ENDED,
    ERROR_CHARACTERS_MAX,
    HISTORY_KEPT,
    Job,
    JobError,
    JobNote,
    JobState,
    NewJob,
    Token,
    Verdict,
)
from runtime.jobs.queries import (
    BEAT,
    CANCEL,
    CLAIM,
    COUNT_UNFINISHED,
    DATABASE_NOW,
    END_ATTEMPT,
    INSERT_DEAD,
    INSERT_JOB,
    LIST_DEAD,
    PRUNE_DEAD,
    PRUNE_JOBS,
    PRUNE_RUNS,
    PUT_BACK,
    QUEUES_WITH_EXPIRED,
    RESCUE,
    SELECT_EXPIRED,
    SELECT_JOB,
    SELECT_LAST_SLOT,
    SELECT_LETTER,
    SELECT_NEXT,
    SELECT_OLDEST,
    SELECT_UNIQUE,
    select_claimable,
)
from runtime.ports import Clock
from runtime.storage import ConstraintViolation, Database, Dialect, Query, Row, Write
from runtime.texts import storable

CLAIM_TRIES = 3


def job_write(job: NewJob, *, job_id: str, now: datetime, trace_id: str | None) -> Write:
    """Enqueue `job` as part of a journal entry: it exists if and when the entry is durable.

    Without effect while another live job has its `unique_key`. Tell `JOBS` of it afterwards
    (`JobsAdded`), or it starts up to a second later.
    """
    run_at = job.run_at if job.run_at is not None else now
    row: tuple[Any, ...] = (
        job.merchant_id,
        job_id,
        job.queue,
        job.name,
        job.key,
        job.unique_key,
        job.priority,
        job.payload,
        trace_id,
        JobState.AVAILABLE.value,
        run_at,
        now,
        [],
        [],
    )
    return Write(INSERT_JOB, row)


def dead_letter_write(
    job: NewJob, *, job_id: str, now: datetime, trace_id: str | None, error: str, attempt: int = 1
) -> Write:
    """A dead letter for what was tried without a job of its own, and failed for good.

    Putting it back makes a job of it, which `job.name` says how to do.
    """
    failed = JobError(now, attempt, storable(error, ERROR_CHARACTERS_MAX))
    row: tuple[Any, ...] = (
        job.merchant_id,
        job_id,
        job.queue,
        job.name,
        job.key,
        job.unique_key,
        job.priority,
        job.payload,
        trace_id,
        JobState.DEAD.value,
        attempt,
        now,
        msgspec.to_builtins([failed]),
        [],
    )
    return Write(INSERT_DEAD, row)


def end_write(job: Job, verdict: Verdict, now: datetime) -> Write:
    """End the attempt that `job` is; undoes its entry when the lease is another's by now."""
    return Write(END_ATTEMPT, _end_row(job, verdict, now))


def rescue_write(job: Job, verdict: Verdict, now: datetime) -> Write:
    """As `end_write`, for a job whose lease had run out at `now`, unless it was renewed."""
    return Write(RESCUE, (*_end_row(job, verdict, now), now))


def _end_row(job: Job, verdict: Verdict, now: datetime) -> tuple[Any, ...]:
    return (
        job.merchant_id,
        job.job_id,
        job.lease,
        verdict.state.value,
        verdict.attempt,
        verdict.run_at,
        now if verdict.state in ENDED else None,
        msgspec.to_builtins(list(verdict.errors)),
    )


def put_back_write(job: Job, note: JobNote) -> Write:
    """A dead job is available again, at the end of its line, with all its attempts."""
    return Write(PUT_BACK, (job.merchant_id, job.job_id, note.at, _history(job, note)))


def cancel_write(job: Job, note: JobNote) -> Write:
    """A live job is cancelled; the worker that may run it is fenced."""
    return Write(CANCEL, (job.merchant_id, job.job_id, note.at, _history(job, note)))


def _history(job: Job, note: JobNote) -> Any:
    by, reason = (storable(text, ERROR_CHARACTERS_MAX) for text in (note.by, note.reason))
    told = attrs.evolve(note, by=by, reason=reason)
    return msgspec.to_builtins([*job.history, told][-HISTORY_KEPT:])


def _claimed(row: Row) -> Job:
    """A row of the columns of `COLUMNS`, and whether others wait behind it."""
    *columns, followed = row
    return job_of(columns, followed=bool(followed))


def job_of(row: Iterable[Any], *, followed: bool = True) -> Job:
    """A row of the columns of `COLUMNS`."""
    *plain, errors, history = row
    merchant_id, job_id, queue, name, key, unique_key, priority, payload, trace_id, *rest = plain
    state, attempt, due_at, run_at, created_at, lease, worker, leased_until, finished_at = rest
    return Job(
        merchant_id=merchant_id,
        job_id=job_id,
        queue=queue,
        name=name,
        key=key,
        unique_key=unique_key,
        priority=priority,
        payload=payload,
        trace_id=trace_id,
        state=JobState(state),
        attempt=attempt,
        due_at=due_at,
        run_at=run_at,
        created_at=created_at,
        lease=lease,
        worker=worker,
        leased_until=leased_until,
        finished_at=finished_at,
        errors=msgspec.convert(errors, tuple[JobError, ...]),
        history=msgspec.convert(history, tuple[JobNote, ...]),
        followed=followed,
    )


@attrs.frozen
class Seen:
    """Those queues that have something to claim, when the first lease of all queues ends, and when
    the first of all jobs that wait comes due, or did."""

    due: tuple[str, ...]
    leased_until: datetime | None
    first_due: datetime | None


@attrs.frozen
class JobStore:
    """Queries about jobs. Every method raises `StorageError`, and may be cancelled."""

    _database: Database

    @property
    def has_clock(self) -> bool:
        """Whether leases are measured by the database's clock. Raises `StorageError`."""
        return self._database.dialect is not Dialect.SQLITE

    async def now(self, clock: Clock) -> datetime:
        """The time that leases are measured by: the database's own where processes share one."""
        if not self.has_clock:
            await checkpoint()
            return clock.now()
        moment: datetime = await self._database.fetch_value(DATABASE_NOW)
        return moment

    async def claim(
        self,
        queue: str,
        *,
        limit: int,
        worker: str,
        now: datetime,
        until: datetime,
        here: datetime | None = None,
    ) -> list[Job]:
        """Take up to `limit` jobs that may run, best first, and count their attempts.

        Those that were never tried got their times from the clocks of programs: they may run
        when it is time on the store's clock or, where that comes first, on ours (`here`).
        None when others take from the same lines at the same moment, again and again.
        """
        sql = CLAIM[self._database.dialect]
        due = now if here is None else max(now, here)
        for _ in range(CLAIM_TRIES):
            try:
                rows = await self._database.execute(sql, queue, now, limit, worker, until, due)
            except ConstraintViolation:
                continue
            jobs = map(_claimed, rows)
            return sorted(jobs, key=lambda job: (-job.priority, job.due_at, job.job_id))
        return []

    async def beat(self, queue: str, *, worker: str, until: datetime) -> set[Token]:
        """Renew the leases of a worker's running jobs; those renewed, with their tokens."""
        sql = BEAT[self._database.dialect]
        rows = await self._database.execute(sql, queue, worker, until)
        return {(row[0], row[1], row[2]) for row in rows}

    async def look(self, queues: Sequence[str], *, now: datetime, here: datetime) -> Seen:
        """What is to be done about `queues`, one at least. Each of them is asked about only where
        some job is due, which is what an index says."""
        later = max(now, here)
        found = await self._database.fetch_row(SELECT_NEXT)
        leased_until, first_due = found if found is not None else (None, None)
        if first_due is None or first_due > later:
            return Seen((), leased_until, first_due)
        claimable = await self._database.fetch_row(
            select_claimable(len(queues)), now, later, *queues
        )
        due = (queue for queue, there in zip(queues, claimable or (), strict=True) if there)
        return Seen(tuple(due), leased_until, first_due)

    async def expired(self, limits: Mapping[str, int], *, now: datetime) -> dict[str, list[Job]]:
        """Running jobs whose lease has run out, the longest ago first: of each queue up to its
        limit. Where there are none, which is nearly always, that is one question."""
        expired: dict[str, list[Job]] = {queue: [] for queue in limits}
        there = await self._database.fetch(QUEUES_WITH_EXPIRED, now)
        queues = [row[0] for row in there if row[0] in limits]
        queries: list[Query] = [(SELECT_EXPIRED, (queue, now, limits[queue])) for queue in queues]
        if queries:
            found = await self._database.fetch_many(queries)
            expired |= zip(queues, (list(map(job_of, rows)) for rows in found), strict=True)
        return expired

    async def get(self, merchant_id: str, job_id: str) -> Job | None:
        row = await self._database.fetch_row(SELECT_JOB, merchant_id, job_id)
        return job_of(row) if row is not None else None

    async def live_twin(self, job: NewJob) -> str | None:
        """The id of the live job with the same unique key."""
        values = (job.merchant_id, job.queue, job.unique_key)
        twin: str | None = await self._database.fetch_value(SELECT_UNIQUE, *values)
        return twin

    async def letter(self, job_id: str) -> Job | None:
        """The dead letter with this id, of whatever merchant, or the job that one became when it
        was put back."""
        row = await self._database.fetch_row(SELECT_LETTER, job_id)
        return job_of(row) if row is not None else None

    async def list_dead(self, before: tuple[datetime, str], limit: int) -> list[Job]:
        """Dead letters of all merchants, the latest first, from before this time and id."""
        return list(map(job_of, await self._database.fetch(LIST_DEAD, *before, limit)))

    async def counts(self) -> dict[str, dict[JobState, int]]:
        """How many unfinished and dead jobs each queue has, by state."""
        counts: dict[str, dict[JobState, int]] = {}
        for queue, state, count in await self._database.fetch(COUNT_UNFINISHED):
            counts.setdefault(queue, {})[JobState(state)] = count
        return counts

    async def oldest(self, queues: Sequence[str]) -> dict[str, datetime]:
        """When the job that waits longest in each queue came due."""
        if not queues:
            await checkpoint()
            return {}
        queries: list[Query] = [(SELECT_OLDEST, (queue,)) for queue in queues]
        found = await self._database.fetch_many(queries)
        return {queue: rows[0]["due_at"] for queue, rows in zip(queues, found, strict=True) if rows}

    async def last_slot(self, merchant_id: str, schedule: str) -> str | None:
        slot: str | None = await self._database.fetch_value(SELECT_LAST_SLOT, merchant_id, schedule)
        return slot

    async def prune_jobs(self, before: datetime, limit: int) -> int:
        """Delete up to `limit` jobs that succeeded or were cancelled before then."""
        sql = PRUNE_JOBS[self._database.dialect]
        return len(await self._database.execute(sql, before, limit))

    async def prune_dead(self, before: datetime, limit: int) -> int:
        """Delete up to `limit` dead letters from before then."""
        sql = PRUNE_DEAD[self._database.dialect]
        return len(await self._database.execute(sql, before, limit))

    async def prune_runs(self, before: datetime, limit: int) -> int:
        """Delete up to `limit` records of runs from before then."""
        sql = PRUNE_RUNS[self._database.dialect]
        return len(await self._database.execute(sql, before, limit))

    async def notify(self, channel: str, queue: str) -> None:
        """Tell the runners of every process that a queue has got a job."""
        await self._database.notify(channel, queue)
