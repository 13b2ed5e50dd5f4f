"""The scheduler: enqueues what its schedules say, once for each slot."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
import trio

from runtime.actor import Actor
from runtime.child import Backoff
from runtime.errors import ActorError
from runtime.jobs.messages import JOBS, JobsAdded
from runtime.jobs.model import PLATFORM, NewJob
from runtime.jobs.queries import INSERT_RUN
from runtime.jobs.schedules import Schedule, Slot
from runtime.jobs.store import JobStore, job_write
from runtime.journal import JOURNAL, Append
from runtime.storage import Database, StorageError, Write
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.scheduler")

LOOK_S = 30.0
"""Longest sleep between two looks at the clock, which may be set meanwhile."""

LOOK = timedelta(seconds=LOOK_S)

SHORTEST_S = 0.05


class Scheduler(Actor):
    """Several may run on one database: the primary key of the run's row decides who enqueues.

    A slot that nobody saw begin is caught up on at the next look; of several, only the last. A
    schedule that is seen for the first time begins with its next slot.
    """

    def __init__(self, database: Database, schedules: Sequence[Schedule]) -> None:
        self._store = JobStore(database)
        self._schedules = schedules
        self._seen: dict[str, str] = {}
        self._backoff = Backoff()

    async def started(self) -> None:
        if self._schedules:
            self.start_task(self._run)

    async def _run(self) -> None:
        failures, trouble = 0, Trouble(log, "schedule_failed", "schedule_works_again")
        while True:
            try:
                for schedule in self._schedules:
                    await self._look(schedule)
                failures = 0
                trouble.ended()
            except (StorageError, ActorError) as error:
                failures += 1
                trouble.failed(error)
                await trio.sleep(self._backoff.delay_s(failures + 1, self.system.random))
                continue
            await trio.sleep(self._pause_s())

    def _pause_s(self) -> float:
        now = self.system.clock.now()
        moments = [schedule.timing.next_moment(now) for schedule in self._schedules]
        return min(LOOK_S, max(SHORTEST_S, (min(moments) - now).total_seconds()))

    async def _look(self, schedule: Schedule) -> None:
        """Enqueue the job of the latest slot, unless that was done before.

        After a clock was set back by more than `LOOK_S`, slots come that may have been passed
        over: whether they have had their run is decided by the primary key of its row.
        """
        now = self.system.clock.now()
        slot = schedule.timing.latest(now)
        if self._seen.get(schedule.name) == slot.name:
            return
        last = await self._store.last_slot(PLATFORM, schedule.name)
        if last is None:
            await self._record(schedule, slot, None, now)
        elif last < slot.name or schedule.timing.latest(now + LOOK).name < last:
            await self._enqueue(schedule, slot, now)
        self._seen[schedule.name] = slot.name

    async def _enqueue(self, schedule: Schedule, slot: Slot, now: datetime) -> None:
        job_id = self.system.ids.new("job")
        payload: dict[str, object] = {
            "schedule": schedule.name,
            "slot": slot.name,
            "scheduled_for": slot.moment.isoformat(),
        }
        job = NewJob(queue=schedule.queue, name=schedule.job, payload=payload, key=schedule.name)
        write = job_write(job, job_id=job_id, now=now, trace_id=self.system.ids.new("cron"))
        if not await self._record(schedule, slot, job_id, now, write):
            return
        late = now - slot.moment > LOOK
        log.info("job_scheduled", schedule=schedule.name, slot=slot.name, caught_up=late)
        self.system.ref(JOBS).tell(JobsAdded(schedule.queue))

    async def _record(
        self, schedule: Schedule, slot: Slot, job_id: str | None, now: datetime, *writes: Write
    ) -> bool:
        """Write that the slot has had its run; false when another scheduler was first."""
        row = (PLATFORM, schedule.name, slot.name, slot.moment, job_id, now)
        entry = (Write(INSERT_RUN, row), *writes)
        return await self.system.ref(JOURNAL).ask(Append(entry)) is None
