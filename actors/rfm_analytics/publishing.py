"""Publication of a run, and what follows it: who changed segment is told, old runs are let go."""

from datetime import timedelta

import attrs
import msgspec
import structlog

from actors.rfm_analytics.beginning import append
from actors.rfm_analytics.messages import (
    EVENT_KEY,
    RUN_PUBLISHED,
    SEGMENTS_CHANGED,
    RunPublished,
    RunState,
    SegmentChange,
    SegmentsChanged,
)
from actors.rfm_analytics.metrics import rfm_metrics
from actors.rfm_analytics.model import places
from actors.rfm_analytics.pacing import Pace
from actors.rfm_analytics.queries import (
    COUNT_CELLS,
    DATE_SCHEDULE,
    DELETE_CELLS,
    DELETE_HISTORY,
    DELETE_RUN,
    DELETE_SCORES,
    FILL_CELL,
    INSERT_CELL,
    LET_GO,
    LIST_MOVED,
    PUBLISH,
    SELECT_OLD_RUNS,
    SELECT_WITH_ROWS,
    TOLD,
)
from actors.rfm_analytics.queue import prune_job, tell_job
from actors.rfm_analytics.records import Kept, StoredRun, cells_of, find_run
from runtime.jobs import Job, NewJob, job_write
from runtime.parking import monotonic
from runtime.storage import Database, Entry, Row, Write
from runtime.storage.deadlines import patient
from runtime.storage.outbox import outbox_write
from runtime.system import ActorSystem

log = structlog.get_logger("loyalnest.rfm")

COUNT_TIMEOUT_S = 120.0

TOLD_AT_ONCE = 200
"""Changes in one event."""

KEPT_RUNS = 4
KEPT_FOR = timedelta(hours=1)
"""The customers of the newest runs are kept, and of all that were published lately, so that who
has pinned a run can read it to its end."""

HISTORY_KEPT = timedelta(days=730)
DELETED_AT_ONCE = 500
RUNS_AT_ONCE = 100


async def publication(system: ActorSystem, database: Database, job: Job, place: StoredRun) -> Entry:
    """What makes readers see the run, all at once; written with the end of its job."""
    merchant_id, now = job.merchant_id, system.clock.now()
    counted = await _count(database, merchant_id, place)
    run = place.run
    event = RunPublished(run.run_id, run.as_of)
    told = outbox_write(
        merchant_id=merchant_id,
        event_id=system.ids.new("ev"),
        topic=RUN_PUBLISHED,
        key=EVENT_KEY,
        payload=msgspec.to_builtins(event),
        created_at=now,
    )
    following = [prune_job(merchant_id)]
    if place.compared_with:
        following.insert(0, tell_job(merchant_id, run.run_id))
    metrics = rfm_metrics(system.metrics.registry)
    metrics.runs.labels(RunState.PUBLISHED.value).inc()
    metrics.seconds.observe((now - (run.begun_at or run.created_at)).total_seconds())
    log.info("rfm_run_published", run=run.run_id, customers=run.customers, scored=run.scored)
    return (
        Write(PUBLISH, (merchant_id, run.run_id, place.step, now)),
        Write(DATE_SCHEDULE, (merchant_id, run.as_of)),
        *counted,
        told,
        *(_job_write(system, job, each) for each in following),
    )


def _job_write(system: ActorSystem, job: Job, following: NewJob) -> Write:
    return job_write(
        following,
        job_id=system.ids.new("job"),
        now=system.clock.now(),
        trace_id=job.trace_id,
    )


async def _count(database: Database, merchant_id: str, place: StoredRun) -> list[Write]:
    """How much is in each cell, by both ways of scoring."""
    if not place.run.scored or place.cuts is None:
        return []
    rules, writes = place.terms.rules, []
    place_of = places(rules)
    for scoring, cuts in place.cuts.items():
        points = (*cuts.recency, *cuts.frequency, *cuts.monetary)
        with patient(COUNT_TIMEOUT_S):
            rows = await database.fetch(COUNT_CELLS, merchant_id, place.number, *points)
        cells = cells_of(rows)
        if sum(some.customers for some in cells.values()) != place.run.scored:
            raise AssertionError(f"run {place.run.run_id} does not add up")
        for cell, some in cells.items():
            key = (merchant_id, place.number, scoring.value, *cell)
            amounts = (some.customers, some.orders, some.revenue_minor)
            if scoring is place.run.scoring:
                writes.append(Write(FILL_CELL, (*key, *amounts)))
            else:
                number = place_of[cell]
                told = (rules[number - 1].segment, number)
                writes.append(Write(INSERT_CELL, (*key, *told, *amounts)))
    return writes


@attrs.frozen
class TellChanges:
    """Tells who came into another segment with a run, a page at a time, each once."""

    database: Database

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        merchant_id, run_id = job.merchant_id, str(job.payload["run_id"])
        stored = await find_run(self.database, merchant_id, run_id)
        if stored is None:
            return ()
        after, pace = stored.told_to, Pace(system.foreground)
        while True:
            began = monotonic()
            values = (merchant_id, stored.number, after, TOLD_AT_ONCE)
            rows = await self.database.fetch(LIST_MOVED, *values)
            if not rows:
                return ()
            last = rows[-1]["customer_id"]
            told = Write(TOLD, (merchant_id, run_id, after, last))
            event = _changes(system, merchant_id, stored, rows)
            await append(system, (told, event), publishes=True, in_background=True)
            after = last
            await pace.rest(monotonic() - began)


def _changes(system: ActorSystem, merchant_id: str, stored: StoredRun, rows: list[Row]) -> Write:
    changes = SegmentsChanged(
        stored.run.run_id, stored.run.as_of, tuple(SegmentChange(*row) for row in rows)
    )
    return outbox_write(
        merchant_id=merchant_id,
        event_id=system.ids.new("ev"),
        topic=SEGMENTS_CHANGED,
        key=EVENT_KEY,
        payload=msgspec.to_builtins(changes),
        created_at=system.clock.now(),
    )


@attrs.frozen
class PruneRuns:
    """Deletes what runs have kept of customers and is not needed any more, in small steps."""

    database: Database

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        merchant_id, now = job.merchant_id, system.clock.now()
        published = 0
        for row in await self.database.fetch(SELECT_WITH_ROWS, merchant_id):
            is_published = row["state"] == RunState.PUBLISHED.value
            published += is_published
            young = is_published and row["published_at"] > now - KEPT_FOR
            if not young and (not is_published or published > KEPT_RUNS):
                await self._let_go(system, merchant_id, row["number"], is_published)
        values = (merchant_id, now - HISTORY_KEPT, RUNS_AT_ONCE)
        for (number,) in await self.database.fetch(SELECT_OLD_RUNS, *values):
            await self._delete(system, DELETE_HISTORY, merchant_id, number)
            await append(system, (Write(DELETE_RUN, (merchant_id, number)),), in_background=True)
        return ()

    async def _let_go(
        self, system: ActorSystem, merchant_id: str, number: int, is_published: bool
    ) -> None:
        """First nobody reads them any more. What changed with a published run is kept longer."""
        key = (merchant_id, number)
        await append(system, (Write(LET_GO, (*key, Kept.GOING.value)),), in_background=True)
        await self._delete(system, DELETE_SCORES, *key)
        if not is_published:
            await self._delete(system, DELETE_HISTORY, *key)
        gone = Write(LET_GO, (*key, Kept.GONE.value))
        await append(system, (Write(DELETE_CELLS, key), gone), in_background=True)

    async def _delete(self, system: ActorSystem, sql: str, merchant_id: str, number: int) -> None:
        pace, deleted, wanted = Pace(system.foreground, DELETED_AT_ONCE), 0, 0
        while deleted == wanted:
            began, wanted = monotonic(), pace.customers
            deleted = len(await self.database.execute(sql, merchant_id, number, wanted))
            await pace.rest(monotonic() - began)
