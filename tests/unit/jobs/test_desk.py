"""The desk: depths, refusals, dead letters."""

from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime import ActorDown
from runtime.jobs import (
    JOBS,
    Enqueue,
    Enqueued,
    GetDeadLetter,
    GetJob,
    GetQueueDepth,
    Job,
    JobRefusal,
    JobState,
    ListDeadLetters,
    ListQueues,
    NewJob,
    PutBack,
    QueueDepth,
    QueueFull,
)
from runtime.jobs.desk import COUNT_S
from runtime.storage import StorageUnavailable
from tests.unit.jobs.trouble import Trouble
from tests.unit.jobs.world import World, job_world

JOB = NewJob(queue="mail", name="send", merchant_id="m")
NEWEST = (datetime.max.replace(tzinfo=UTC), "")

Logs = list[MutableMapping[str, Any]]


async def depth(world: World) -> QueueDepth:
    return await world.system.ref(JOBS).ask(GetQueueDepth("mail"))


def warnings(logs: Logs) -> int:
    return sum(entry["event"] == "queue_filling" for entry in logs)


async def test_a_full_queue_refuses_and_takes_jobs_again_when_there_is_room(
    autojump_clock: MockClock, logs: Logs
) -> None:
    """Clause Q8: the bound is 10 here."""
    async with job_world() as world:
        await world.stop("job_runner")
        for _ in range(7):
            await world.enqueue()
        assert not (await depth(world)).filling
        assert warnings(logs) == 0
        for _ in range(3):
            await world.enqueue()
        told = await depth(world)
        assert (told.depth, told.depth_max, told.filling, told.full) == (10, 10, True, True)
        assert warnings(logs) == 1
        refused = await world.system.ref(JOBS).ask(Enqueue(JOB))
        assert refused == QueueFull("mail", 10, COUNT_S)
        await trio.sleep(COUNT_S + 1)
        assert (await world.system.ref(JOBS).ask(Enqueue(JOB))) == refused
        assert world.sample("queue_depth", queue="mail", state="available") == 10
        assert world.sample("queue_depth_limit", queue="mail") == 10
        oldest = world.sample("queue_oldest_age_seconds", queue="mail")
        assert oldest is not None
        assert oldest >= COUNT_S
        assert warnings(logs) == 1
        await world.restart("job_runner")
        await trio.sleep(COUNT_S + 1)
        assert isinstance(await world.system.ref(JOBS).ask(Enqueue(JOB)), Enqueued)
        assert (await depth(world)).depth == 1
        assert world.sample("queue_depth", queue="mail", state="available") == 0


async def test_a_queue_that_fills_up_again_is_warned_of_again(
    autojump_clock: MockClock, logs: Logs
) -> None:
    """Clause Q8."""
    async with job_world() as world:
        for _ in range(2):
            await world.stop("job_runner")
            for _ in range(8):
                await world.enqueue()
            await world.restart("job_runner")
            await trio.sleep(COUNT_S * 2)
        assert warnings(logs) == 2


async def test_every_queue_is_listed_with_those_of_other_processes(
    autojump_clock: MockClock,
) -> None:
    """Clause Q8."""
    async with job_world() as world:
        await world.enqueue(queue="foreign")
        await trio.sleep(COUNT_S + 1)
        queues = await world.system.ref(JOBS).ask(ListQueues())
        assert [(each.queue, each.depth) for each in queues] == [
            ("foreign", 1), ("mail", 0), ("scheduled", 0),
        ]  # fmt: skip


async def test_a_dead_letter_is_put_back_and_runs(autojump_clock: MockClock) -> None:
    """Clause Q7."""
    async with job_world() as world:
        desk = world.system.ref(JOBS)
        job_id = await world.enqueue(errors=5, effect=1)
        dead = await world.ends(job_id)
        assert await desk.ask(GetDeadLetter(job_id)) == dead
        assert await desk.ask(ListDeadLetters(NEWEST, 10)) == (dead,)
        await trio.sleep(COUNT_S)
        assert (await depth(world)).dead == 1
        back = await desk.ask(PutBack(job_id, "operator", "fixed"))
        assert isinstance(back, Job)
        assert (back.state, back.attempt) == (JobState.AVAILABLE, 0)
        done = await world.ends(job_id)
        assert done.state is JobState.SUCCEEDED
        assert len(done.errors) == 5
        (note,) = done.history
        assert (note.action, note.by, note.reason) == ("put_back", "operator", "fixed")
        assert await desk.ask(PutBack(job_id, "operator", "again")) is JobRefusal.ENDED
        assert await desk.ask(GetDeadLetter(job_id)) == done
        assert await desk.ask(GetJob("m", job_id)) == done
        assert await world.effects() == [1]


async def test_a_dead_letter_whose_twin_is_live_is_not_put_back(autojump_clock: MockClock) -> None:
    """Clause Q7."""
    async with job_world() as world:
        dead = await world.ends(await world.enqueue(errors=9, unique_key="u"))
        await world.enqueue(sleep=50, unique_key="u")
        answer = await world.system.ref(JOBS).ask(PutBack(dead.job_id, "operator", "fixed"))
        assert answer is JobRefusal.DUPLICATE


async def test_of_two_who_put_the_same_letter_back_one_succeeds(autojump_clock: MockClock) -> None:
    """Clause Q7."""
    async with job_world() as world:
        dead = await world.ends(await world.enqueue(errors=9))
        answers: list[object] = []

        async def put_back(by: str) -> None:
            answers.append(await world.system.ref(JOBS).ask(PutBack(dead.job_id, by, "fixed")))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(put_back, "one")
            nursery.start_soon(put_back, "two")
        assert len([answer for answer in answers if isinstance(answer, Job)]) == 1
        assert {JobRefusal.ENDED, JobRefusal.NOT_FOUND} & {
            answer for answer in answers if isinstance(answer, JobRefusal)
        }


async def test_a_notice_that_cannot_be_sent_fails_no_enqueueing(autojump_clock: MockClock) -> None:
    """Clause Q10."""

    class Mute(Trouble):
        async def notify(self, channel: str, payload: str) -> None:
            raise StorageUnavailable("no notices (a test)")

    async with job_world(handle=Mute()) as world:
        assert (await world.ends(await world.enqueue())).state is JobState.SUCCEEDED


async def test_a_cancelled_enqueue_leaves_a_whole_job_or_none(autojump_clock: MockClock) -> None:
    """Clause Q1."""
    async with job_world() as world:
        await world.stop("job_runner")
        for steps in range(12):
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(world.system.ref(JOBS).ask, Enqueue(JOB))
                    for _ in range(steps):
                        await trio.lowlevel.checkpoint()
                    scope.cancel()
        await trio.sleep(COUNT_S + 1)
        await world.restart("job_runner")
        await trio.sleep(3)
        counts = await world.store.counts()
        assert counts.get("mail", {}) == {}
        assert (await world.system.ref(JOBS).inspect()).incarnation == 1


async def test_a_desk_that_is_away_refuses_at_once(autojump_clock: MockClock) -> None:
    """Clause Q1."""
    async with job_world() as world:
        await world.stop("jobs")
        with pytest.raises(ActorDown) as caught:
            await world.system.ref(JOBS).ask(Enqueue(JOB))
        assert caught.value.message == Enqueue(JOB)
