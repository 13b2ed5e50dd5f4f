"""When a runner looks for jobs, with nobody else to write any: rarely, and yet in time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from runtime.jobs import NewJob, job_write
from runtime.jobs.model import Delays, Leases
from runtime.jobs.runner import POLL_S, STEP_S
from runtime.jobs.store import JobStore, Seen
from runtime.journal import JOURNAL, Append
from runtime.ports import seeded_ports
from runtime.sim.clock import SimulatedClock
from runtime.storage import Entry
from tests.unit.jobs.trouble import Trouble
from tests.unit.jobs.world import MAIL, START, World, job_world

IDLE_S = 60.0
LATER_S = 12.3
SHORT_S = 1.3
SOON_S = 0.01


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When runners looked."""
    times: list[float] = []
    look = JobStore.look

    async def noted(store: JobStore, *arguments: Any, **options: Any) -> Seen:
        times.append(trio.current_time())
        return await look(store, *arguments, **options)

    monkeypatch.setattr(JobStore, "look", noted)
    return times


@asynccontextmanager
async def idle_world(*policies: Any, **options: Any) -> AsyncIterator[World]:
    """Its journal owns the store, and nothing is to be done."""
    async with job_world(*policies, **options) as world:
        await world.ends(await world.enqueue())
        await trio.sleep(IDLE_S)
        world.worker.begun.clear()
        yield world


def silent(world: World, job_id: str, later_s: float = 0.0) -> Entry:
    """A job that nobody announces."""
    now = world.system.clock.now()
    run_at = now + timedelta(seconds=later_s)
    new = NewJob(queue="mail", name="send", merchant_id="m", run_at=run_at)
    return (job_write(new, job_id=job_id, now=now, trace_id=None),)


async def next_look(looks: list[float]) -> None:
    """Until just after it."""
    looks.clear()
    while not looks:  # noqa: ASYNC110 - of a function that is replaced
        await trio.sleep(SOON_S)


async def begun_after_s(world: World) -> float:
    since = trio.current_time()
    while not world.worker.begun:
        assert trio.current_time() < since + IDLE_S
        await trio.sleep(SOON_S / 2)
    return trio.current_time() - since


async def test_a_runner_looks_rarely_while_nothing_is_to_be_done(
    autojump_clock: MockClock, looks: list[float]
) -> None:
    async with idle_world():
        looks.clear()
        await trio.sleep(IDLE_S)
        assert len(looks) == IDLE_S / STEP_S


async def test_where_others_may_write_it_looks_every_second(
    autojump_clock: MockClock, looks: list[float]
) -> None:
    """Clause Q10."""
    async with idle_world(partition="shard") as world:
        looks.clear()
        await trio.sleep(IDLE_S)
        assert len(looks) == IDLE_S / POLL_S
        await world.database.append([silent(world, "j1")])
        assert await begun_after_s(world) <= POLL_S + SOON_S


async def test_a_job_that_nobody_announced_starts_within_a_second(
    autojump_clock: MockClock, looks: list[float]
) -> None:
    """Clause Q10."""
    async with idle_world() as world:
        await next_look(looks)
        assert await world.system.ref(JOURNAL).ask(Append(silent(world, "j1"))) is None
        assert await begun_after_s(world) <= POLL_S + SOON_S


async def test_a_job_of_a_commit_in_doubt_starts_within_a_second_of_being_found(
    autojump_clock: MockClock, looks: list[float]
) -> None:
    """Clause Q10."""
    handle = Trouble()
    async with idle_world(handle=handle) as world:
        await next_look(looks)
        handle.lost_answers = 1
        assert await world.system.ref(JOURNAL).ask(Append(silent(world, "j1"))) is None
        assert await begun_after_s(world) <= POLL_S + SOON_S


async def test_a_job_that_is_to_run_later_starts_when_it_is_due(
    autojump_clock: MockClock,
) -> None:
    """Clause Q10."""
    async with idle_world() as world:
        await world.system.ref(JOURNAL).ask(Append(silent(world, "j1", LATER_S)))
        assert LATER_S <= await begun_after_s(world) <= LATER_S + SOON_S


@pytest.mark.parametrize("delay_s", [1.5, LATER_S])
async def test_a_failed_job_is_tried_again_when_its_time_has_come(
    delay_s: float, autojump_clock: MockClock, looks: list[float]
) -> None:
    """Clause Q10."""
    delays = Delays(initial_s=delay_s, max_s=delay_s, jitter=False)
    async with idle_world(attrs.evolve(MAIL, delays=delays)) as world:
        await next_look(looks)
        await world.enqueue(sleep=2 * SHORT_S, errors=1)
        await trio.sleep(SHORT_S)
        world.worker.begun.clear()
        due_s = SHORT_S + delay_s
        assert due_s <= await begun_after_s(world) <= due_s + POLL_S + SOON_S


async def test_a_job_of_a_worker_that_died_is_taken_back_when_its_lease_ends(
    autojump_clock: MockClock,
) -> None:
    """Clause Q6."""
    delays = Delays(initial_s=0.0, max_s=0.0)
    async with idle_world(attrs.evolve(MAIL, delays=delays)) as world:
        await world.stop("job_runner")
        await world.enqueue()
        now = world.system.clock.now()
        until = now + timedelta(seconds=Leases().lease_s)
        await world.store.claim("mail", limit=1, worker="elsewhere", now=now, until=until)
        await trio.sleep(SHORT_S)
        await world.restart("job_runner")
        assert await begun_after_s(world) <= Leases().lease_s - SHORT_S + POLL_S


async def test_a_job_that_is_due_by_a_step_of_the_clock_starts_soon(
    autojump_clock: MockClock,
) -> None:
    """Clause Q10."""
    clock = SimulatedClock()
    async with idle_world(ports=seeded_ports(1, START, clock)) as world:
        await world.system.ref(JOURNAL).ask(Append(silent(world, "j1", 300.0)))
        await trio.sleep(IDLE_S)
        clock.jump(300.0)
        assert await begun_after_s(world) <= STEP_S + SOON_S
