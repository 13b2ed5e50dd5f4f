"""Beginning a run: what is written so that there is one at a time, and its job with it."""

from datetime import datetime

import attrs

from actors.core.messages import MERCHANTS, GetMerchant
from actors.rfm_analytics.messages import RfmConfig, Run, RunState, StartedBy, StartedRun
from actors.rfm_analytics.queries import END_RUN, SELECT_LAST_NUMBER, SELECT_LIVE_RUN
from actors.rfm_analytics.queue import RFM_QUEUE, prune_job, score_job
from actors.rfm_analytics.records import (
    Kept,
    StoredRun,
    find_config,
    insert_run,
    newest_run,
    run_of,
)
from actors.vocabulary import Idempotency, Refusal, RefusalKind
from runtime.context import current_trace_id
from runtime.jobs import JOBS, GetJob, JobsAdded, JobState, job_write
from runtime.journal import JOURNAL, Append
from runtime.storage import ConstraintViolation, Database, Entry, Write
from runtime.storage.idempotency import idempotency_write
from runtime.system import ActorSystem

AT_WORK = frozenset({JobState.AVAILABLE, JobState.RUNNING, JobState.RETRYABLE})

MERCHANT_UNKNOWN = Refusal(RefusalKind.NOT_FOUND, "merchant_unknown", "there is no such merchant")


@attrs.frozen
class Wish:
    """A run that somebody wants. `missed` are the times at which one should have begun, of which
    `reason` says why it did not; `along` is written with it."""

    started_by: StartedBy
    as_of: datetime
    idempotency: Idempotency | None = None
    missed: tuple[datetime, ...] = ()
    reason: str | None = None
    along: Entry = ()


@attrs.frozen
class Beginning:
    """Begins runs. Raises `StorageError` and `ActorError`."""

    _system: ActorSystem
    _database: Database

    async def begin(self, merchant_id: str, wish: Wish) -> StartedRun | Refusal:
        """Look and write, once more where the write is rejected."""
        try:
            return await self._begin(merchant_id, wish)
        except ConstraintViolation:
            return await self._begin(merchant_id, wish)

    async def _begin(self, merchant_id: str, wish: Wish) -> StartedRun | Refusal:
        merchant = await self._system.ref(MERCHANTS).ask(GetMerchant(merchant_id))
        if merchant is None:
            return MERCHANT_UNKNOWN
        row = await self._database.fetch_row(SELECT_LIVE_RUN, merchant_id)
        live = run_of(row) if row is not None else None
        ended: Entry = ()
        if live is not None:
            why = await self._ended_unnoticed(merchant_id, live)
            if why is None:
                return _in_progress(live)
            ended = self._failed(merchant_id, live, why)
        config = await find_config(self._database, merchant_id)
        currency = config.terms.currency or merchant.currency
        run, entry = await self._writes(merchant_id, wish, config, currency)
        await append(self._system, (*ended, *entry, *wish.along))
        self._system.ref(JOBS).tell(JobsAdded(RFM_QUEUE.name))
        return StartedRun(run)

    async def _ended_unnoticed(self, merchant_id: str, live: StoredRun) -> str | None:
        """Why the job of a run does not work on it any more: whoever it killed could not say."""
        job_id = live.job_id or ""
        job = await self._system.ref(JOBS).ask(GetJob(merchant_id, job_id))
        if job is not None and job.state in AT_WORK:
            return None
        last = job.errors[-1].error if job is not None and job.errors else "its job has ended"
        return f"given up after {job.attempt if job is not None else 0} attempts: {last}"

    def _failed(self, merchant_id: str, live: StoredRun, why: str) -> Entry:
        now = self._system.clock.now()
        row = (merchant_id, live.run.run_id, RunState.FAILED.value, now, why[:500])
        job_id, trace_id = self._system.ids.new("job"), current_trace_id()
        prune = job_write(prune_job(merchant_id), job_id=job_id, now=now, trace_id=trace_id)
        return (Write(END_RUN, row), prune)

    async def _writes(
        self, merchant_id: str, wish: Wish, config: RfmConfig, currency: str
    ) -> tuple[Run, Entry]:
        newest = await newest_run(self._database, merchant_id)
        number: int = await self._database.fetch_value(SELECT_LAST_NUMBER, merchant_id) or 0
        compared_with = newest.number if newest is not None else 0
        now, new_id = self._system.clock.now(), self._system.ids.new
        writes: list[Write] = []
        for moment in wish.missed:
            number += 1
            run = _run(new_id("rfm"), config, currency, StartedBy.SCHEDULE, moment, now)
            run = attrs.evolve(run, state=RunState.SKIPPED, ended_at=now, reason=wish.reason)
            missed = _stored(run, number, config, None, compared_with)
            writes.append(insert_run(merchant_id, attrs.evolve(missed, kept=Kept.GONE)))
        run = _run(new_id("rfm"), config, currency, wish.started_by, wish.as_of, now)
        job_id = new_id("job")
        job, trace_id = score_job(merchant_id, run.run_id), current_trace_id()
        stored = _stored(run, number + 1, config, job_id, compared_with)
        writes.append(insert_run(merchant_id, stored))
        writes.append(job_write(job, job_id=job_id, now=now, trace_id=trace_id))
        if wish.idempotency is not None:
            writes.append(_key_write(merchant_id, wish.idempotency, run))
        return run, tuple(writes)


def _stored(
    run: Run, number: int, config: RfmConfig, job_id: str | None, compared_with: int
) -> StoredRun:
    return StoredRun(
        run=run,
        number=number,
        terms=config.terms,
        job_id=job_id,
        step=0,
        cursor="",
        compared_with=compared_with,
    )


def _run(
    run_id: str,
    config: RfmConfig,
    currency: str,
    started_by: StartedBy,
    as_of: datetime,
    now: datetime,
) -> Run:
    return Run(
        run_id=run_id,
        state=RunState.QUEUED,
        started_by=started_by,
        as_of=as_of,
        currency=currency,
        config_version=config.version,
        scoring=config.terms.scoring,
        created_at=now,
    )


def _key_write(merchant_id: str, key: Idempotency, run: Run) -> Write:
    return idempotency_write(
        merchant_id=merchant_id,
        key=key.key,
        fingerprint=key.fingerprint,
        response={"run_id": run.run_id},
        created_at=run.created_at,
    )


def _in_progress(live: StoredRun) -> Refusal:
    detail = f"run {live.run.run_id} is under way; there is one at a time"
    return Refusal(RefusalKind.CONFLICT, "run_in_progress", detail)


async def append(
    system: ActorSystem,
    entry: Entry,
    *,
    publishes: bool = False,
    in_background: bool = False,
    synchronous: bool = True,
) -> None:
    """Write all of it or nothing. Raises the violation where it was rejected."""
    message = Append(entry, publishes, in_background, synchronous)
    answer = await system.ref(JOURNAL).ask(message)
    if answer is not None:
        raise answer.violation
