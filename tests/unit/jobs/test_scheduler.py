"""The scheduler: one run for each slot, whoever looks and however often."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
import trio
from trio.testing import MockClock

from runtime import ActorSystem, ChildSpec, StartChild
from runtime.jobs import Daily, Every, Job, JobsSpec, Schedule, combined_jobs
from runtime.jobs.messages import SCHEDULER
from runtime.jobs.model import PLATFORM
from runtime.jobs.pruning import DEAD_LETTERS_KEPT, JOBS_KEPT, PRUNE, RUNS_KEPT
from runtime.jobs.scheduler import LOOK_S, Scheduler
from runtime.ports import VirtualClock, seeded_ports
from runtime.storage import AcrossMerchants, Entry
from tests.unit.jobs.trouble import Trouble
from tests.unit.jobs.world import MAIL, PLATFORM_NAME, START, World, job_world

NIGHTLY = Schedule(name="nightly", job="count", timing=Daily(time(3), ZoneInfo("Europe/Berlin")))


@attrs.define
class Counting:
    """Notes when it ran for which slot; fails as often as it is told to."""

    failures: int = 0
    ran: list[tuple[str, datetime]] = attrs.field(factory=list)
    tried: list[float] = attrs.field(factory=list)

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        payload: Any = job.payload
        self.tried.append(trio.current_time())
        if self.failures:
            self.failures -= 1
            raise RuntimeError("not tonight")
        self.ran.append((payload["slot"], system.clock.now()))
        return ()


def slots(counting: Counting) -> list[str]:
    return [slot for slot, _ in counting.ran]


async def test_a_daily_job_runs_once_a_day_at_its_local_time(autojump_clock: MockClock) -> None:
    """Clause Q11."""
    counting = Counting()
    due = datetime(2026, 3, 2, 2, tzinfo=UTC)
    ports = seeded_ports(1, due - timedelta(seconds=50))
    async with job_world(handlers={"count": counting}, schedules=(NIGHTLY,), ports=ports):
        await trio.sleep(49.9)
        assert counting.ran == []
        await trio.sleep(60)
        ((slot, at),) = counting.ran
        assert slot == "2026-03-02"
        assert timedelta() <= at - due < timedelta(seconds=0.1)


async def test_a_new_schedule_begins_with_its_next_slot(autojump_clock: MockClock) -> None:
    """Clause Q11."""
    counting = Counting()
    often = Schedule(name="often", job="count", timing=Every(100))
    async with job_world(handlers={"count": counting}, schedules=(often,)):
        await trio.sleep(99)
        assert counting.ran == []
        await trio.sleep(2)
        assert slots(counting) == ["2026-03-01T12:01:40Z"]


async def away(world: World, seconds: float) -> None:
    await world.stop("scheduler")
    await trio.sleep(seconds)
    await world.restart("scheduler")


async def test_of_the_runs_missed_while_down_the_last_is_caught_up_on(
    autojump_clock: MockClock,
) -> None:
    """Clause Q11."""
    counting = Counting()
    often = Schedule(name="often", job="count", timing=Every(100))
    async with job_world(handlers={"count": counting}, schedules=(often,)) as world:
        await trio.sleep(10)
        await away(world, 410)
        await trio.sleep(2)
        assert slots(counting) == ["2026-03-01T12:06:40Z"]
        await away(world, 20)
        await trio.sleep(20)
        assert len(counting.ran) == 1


@pytest.mark.slow
async def test_a_failed_run_is_tried_again_after_1_2_4_8_and_16_minutes(
    autojump_clock: MockClock,
) -> None:
    """Clause Q11."""
    counting = Counting(failures=5)
    seldom = Schedule(name="seldom", job="count", timing=Every(3_600))
    ports = seeded_ports(1, START - timedelta(seconds=5))
    async with job_world(handlers={"count": counting}, schedules=(seldom,), ports=ports):
        await trio.sleep(32 * 60)
        waits = [round((b - a) / 60) for a, b in pairwise(counting.tried)]
        assert waits == [1, 2, 4, 8, 16]
        assert len(counting.ran) == 1


async def test_two_schedulers_make_one_run_of_each_slot(autojump_clock: MockClock) -> None:
    """Clause Q11: also when both found that it had no run yet."""
    counting = Counting()
    often = Schedule(name="often", job="count", timing=Every(60))
    handlers = {"count": counting}
    second = ChildSpec(
        "second", lambda: Scheduler(world.database, (often,)), name="second_scheduler"
    )
    handle = Trouble(stale_s=0.2)
    async with job_world(handlers=handlers, schedules=(often,), handle=handle) as world:
        await world.system.ref(PLATFORM_NAME).ask(StartChild(second))
        await trio.sleep(180.5)
        assert len(counting.ran) == 3
        assert len(set(slots(counting))) == 3


@pytest.mark.slow
async def test_a_wall_clock_that_jumps_runs_nothing_twice(autojump_clock: MockClock) -> None:
    """Clause Q11."""
    counting = Counting()
    often = Schedule(name="often", job="count", timing=Every(60))
    async with job_world(handlers={"count": counting}, schedules=(often,)) as world:
        clock: Any = world.system.clock
        for minutes in (0, 5, -5, -5, 5):
            clock.start += timedelta(minutes=minutes)
            await trio.sleep(LOOK_S * 2.5)
        await trio.sleep(LOOK_S * 4)
        assert len(counting.ran) >= 4
        assert len(slots(counting)) == len(set(slots(counting)))
        await away(world, 1)
        await trio.sleep(1)
        assert len(slots(counting)) == len(set(slots(counting)))
        assert isinstance(clock, VirtualClock)


@pytest.mark.slow
async def test_slots_after_a_clock_that_was_ahead_have_their_runs(
    autojump_clock: MockClock,
) -> None:
    """Clause Q11: the last run on record is of tomorrow, and today goes on."""
    counting = Counting()
    often = Schedule(name="often", job="count", timing=Every(60))
    async with job_world(handlers={"count": counting}, schedules=(often,)) as world:
        clock: Any = world.system.clock
        await trio.sleep(2.5 * LOOK_S)
        clock.start += timedelta(days=1)
        await trio.sleep(2.5 * LOOK_S)
        clock.start -= timedelta(days=1)
        await trio.sleep(300)
        today = [slot for slot in slots(counting) if slot.startswith("2026-03-01")]
        assert len(today) == len(set(today)) >= 6


async def test_the_scheduler_waits_for_a_store_that_is_away(autojump_clock: MockClock) -> None:
    """Clauses Q10 and Q11."""
    counting = Counting()
    handle = Trouble()
    often = Schedule(name="often", job="count", timing=Every(60))
    world_of = job_world(handlers={"count": counting}, schedules=(often,), handle=handle)
    async with world_of as world:
        await trio.sleep(1)
        handle.away = True
        await trio.sleep(170)
        handle.away = False
        await trio.sleep(8)
        assert slots(counting) == ["2026-03-01T12:02:00Z"]
        assert (await world.system.ref(SCHEDULER).inspect()).incarnation == 1


async def test_runs_of_a_schedule_do_not_overlap(autojump_clock: MockClock) -> None:
    """Clauses Q4 and Q11."""
    running: list[int] = [0, 0]

    async def slow(job: Job, system: ActorSystem) -> Entry:
        running[0] += 1
        running[1] = max(running)
        await trio.sleep(25)
        running[0] -= 1
        return ()

    often = Schedule(name="often", job="slow", timing=Every(10))
    async with job_world(handlers={"slow": slow}, schedules=(often,)):
        await trio.sleep(200)
        assert running[1] == 1


async def test_what_is_over_and_old_is_pruned_every_hour(autojump_clock: MockClock) -> None:
    """Clause Q12."""
    ports = seeded_ports(1, START + timedelta(minutes=16))
    async with job_world(ports=ports) as world:
        old, fresh = await world.enqueue(), await world.enqueue()
        await world.ends(old)
        await world.ends(fresh)
        await world.database.execute(
            "UPDATE jobs SET finished_at = $3 WHERE merchant_id = $1 AND job_id = $2",
            "m",
            old,
            START - JOBS_KEPT,
        )
        dead = {await world.enqueue(): DEAD_LETTERS_KEPT, await world.enqueue(): JOBS_KEPT * 2}
        for job_id, age in dead.items():
            await world.ends(job_id)
            await world.database.execute(
                "UPDATE jobs SET state = 'dead', finished_at = $3"
                " WHERE merchant_id = $1 AND job_id = $2",
                "m",
                job_id,
                START - age,
            )
        await world.database.execute(
            AcrossMerchants("UPDATE job_schedule_runs SET created_at = $1"), START - RUNS_KEPT * 2
        )
        await trio.sleep(62)
        assert await world.store.get("m", old) is None
        assert await world.store.get("m", fresh) is not None
        assert [await world.store.get("m", job_id) is not None for job_id in dead] == [False, True]
        rows = await world.database.fetch("SELECT name, state FROM jobs WHERE name = $1", PRUNE)
        assert [tuple(row) for row in rows] == [(PRUNE, "succeeded")]
        runs = await world.database.fetch("SELECT merchant_id FROM job_schedule_runs")
        assert [row[0] for row in runs] == [PLATFORM]


async def test_without_schedules_there_is_nothing_to_do(autojump_clock: MockClock) -> None:
    async with job_world() as world:
        idle = ChildSpec("idle", lambda: Scheduler(world.database, ()), name="idle")
        await world.system.ref(PLATFORM_NAME).ask(StartChild(idle))
        await trio.sleep(LOOK_S * 2)
        assert (await world.system.ref("idle").inspect()).incarnation == 1


def test_two_of_one_name_are_refused() -> None:
    queue, handler = JobsSpec(queues=(MAIL,)), JobsSpec(handlers={"count": Counting()})
    schedule = JobsSpec(schedules=(NIGHTLY,))
    for spec, what in ((queue, "queues"), (handler, "handlers"), (schedule, "schedules")):
        with pytest.raises(ValueError, match=f"two {what} have the name"):
            combined_jobs(spec, JobsSpec(), spec)
    everything = combined_jobs(queue, handler, schedule)
    assert (everything.queues, everything.schedules) == ((MAIL,), (NIGHTLY,))
    assert everything.handlers.keys() == {"count"}
