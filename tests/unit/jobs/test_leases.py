"""Leases: workers that die, freeze or come too late; stores that go away; stops."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from math import inf
from random import Random
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from runtime import ActorSystem
from runtime.jobs import (
    JOBS,
    CancelJob,
    Delays,
    GetQueueDepth,
    Job,
    JobRefusal,
    JobState,
    Leases,
    NewJob,
    QueuePolicy,
    job_write,
)
from runtime.jobs.lane import Attempt, Lane
from runtime.jobs.messages import RUNNER
from runtime.jobs.metrics import job_metrics
from runtime.jobs.model import CLAIMS_MAX, failure, postponement
from runtime.jobs.rescue import Rescuer
from runtime.jobs.settling import COMMIT_TIMEOUT_S
from runtime.jobs.store import CLAIM_TRIES
from runtime.journal import CHECK_EVERY_S
from runtime.ownership import MAIN
from runtime.storage import (
    Entry,
    StorageError,
    StorageFull,
)
from runtime.storage.partitions import CLAIM as CLAIM_PARTITION
from tests.unit.jobs.trouble import Trouble
from tests.unit.jobs.world import MAIL, START, World, effect, job_world

LEASE_S = Leases().lease_s


async def lose(world: World, job_id: str) -> None:
    """As if the job's lease had run out, and a worker elsewhere had it."""
    await world.database.execute(
        "UPDATE jobs SET leased_until = $3, worker = 'elsewhere' WHERE merchant_id = $1"
        " AND job_id = $2",
        "m",
        job_id,
        world.system.clock.now() - timedelta(seconds=1),
    )


async def claim_elsewhere(world: World, count: int = 1) -> list[Job]:
    now = world.system.clock.now()
    until = now + timedelta(seconds=LEASE_S)
    return await world.store.claim("mail", limit=count, worker="elsewhere", now=now, until=until)


async def test_heartbeats_keep_a_long_job_its_workers(autojump_clock: MockClock) -> None:
    """Clause Q3."""
    policy = QueuePolicy(name="mail", attempt_timeout_s=1_000)
    async with job_world(policy) as world:
        job = await world.ends(await world.enqueue(sleep=100, effect=1))
        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
        assert world.sample("jobs_rescued_total", queue="mail") == 0


async def test_job_of_a_worker_that_died_is_rescued_within_its_lease(
    autojump_clock: MockClock,
) -> None:
    """Clauses Q2 and Q6: the attempt that was lost counts."""
    async with job_world() as world:
        await world.stop("job_runner")
        job_id = await world.enqueue(effect=1)
        assert [job.job_id for job in await claim_elsewhere(world)] == [job_id]
        await world.restart("job_runner")
        await trio.sleep(LEASE_S - 1)
        assert await world.state(job_id) is JobState.RUNNING
        job = await world.ends(job_id)
        assert (job.state, job.attempt, job.lease) == (JobState.SUCCEEDED, 2, 2)
        assert "worker elsewhere died" in job.errors[0].error
        assert world.sample("jobs_rescued_total", queue="mail") == 1
        assert await world.effects() == [1]


async def test_job_that_kills_every_worker_is_dead_after_five(autojump_clock: MockClock) -> None:
    """Clauses Q2, Q4 and Q6."""
    async with job_world() as world:
        await world.stop("job_runner")
        killer = await world.enqueue(key="k")
        heir = await world.enqueue(key="k", effect=1)
        for _ in range(5):
            await trio.sleep(MAIL.delays.max_s)
            assert [job.job_id for job in await claim_elsewhere(world, 10)] == [killer]
            await lose(world, killer)
            await rescue(world)
        job = await world.job(killer)
        assert (job.state, job.attempt, len(job.errors)) == (JobState.DEAD, 5, 5)
        assert world.sample("jobs_rescued_total", queue="mail") == 5
        assert world.sample("jobs_dead_total", queue="mail") == 1
        await world.restart("job_runner")
        assert (await world.ends(heir)).state is JobState.SUCCEEDED


async def rescue(world: World, lane: Lane | None = None) -> None:
    """What a runner does every few seconds; one that runs nothing, if no lane is given."""
    metrics = job_metrics(world.system.metrics.registry)
    rescuer = Rescuer(world.system, world.store, metrics)
    await rescuer.rescue((lane or Lane(MAIL, Leases()),), world.system.clock.now())


async def test_late_worker_changes_nothing_and_its_effects_are_undone(
    autojump_clock: MockClock,
) -> None:
    """Clause Q3."""
    results: list[str] = []

    async def slow(job: Job, system: ActorSystem) -> Entry:
        first = job.attempt == 1
        await trio.sleep(8 if first else 1)
        results.append(f"attempt {job.attempt} returns")
        return (effect(job.attempt),)

    async with job_world(handlers={"slow": slow}) as world:
        job_id = await world.enqueue(name="slow")
        await trio.sleep(1)
        await lose(world, job_id)
        lost = await world.job(job_id)
        await world.database.execute(
            "UPDATE jobs SET state = 'retryable', leased_until = NULL WHERE merchant_id = $1", "m"
        )
        job = await world.ends(job_id)
        await trio.sleep(10)
        assert (lost.lease, job.lease, job.state) == (1, 2, JobState.SUCCEEDED)
        assert results == ["attempt 2 returns", "attempt 1 returns"]
        assert await world.effects() == [2]
        assert world.sample("jobs_total", queue="mail", outcome="lost") == 1
        assert world.sample("jobs_total", queue="mail", outcome="succeeded") == 1


async def test_handler_ends_with_its_lease_when_the_store_is_away(
    autojump_clock: MockClock,
) -> None:
    """Clauses Q3 and Q10."""
    handle = Trouble()
    policy = attrs.evolve(MAIL, attempt_timeout_s=1_000.0)
    async with job_world(policy, handle=handle) as world:
        job_id = await world.enqueue(sleep=500)
        await trio.sleep(1)
        handle.away = True
        await trio.sleep(LEASE_S - 2)
        assert world.worker.running == 1
        await trio.sleep(2)
        assert world.worker.running == 0
        await trio.sleep(60)
        handle.away = False
        second = await world.enqueue(effect=2)
        assert (await world.ends(second)).state is JobState.SUCCEEDED
        await trio.sleep(10)
        job = await world.job(job_id)
        assert (job.attempt, len(job.errors)) == (2, 1)
        assert (await world.system.ref(RUNNER).inspect()).incarnation == 1
        assert (await world.system.ref(JOBS).inspect()).incarnation == 1


async def test_an_end_that_cannot_be_committed_is_tried_again(autojump_clock: MockClock) -> None:
    """Clause Q3."""
    handle = Trouble()
    async with job_world(handle=handle) as world:
        job_id = await world.enqueue(sleep=1, effect=1)
        await trio.sleep(0.5)
        handle.commits = [StorageFull("full"), StorageFull("full"), StorageFull("full")]
        job = await world.ends(job_id)
        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
        assert await world.effects() == [1]


async def test_an_end_that_was_durable_after_all_counts_once(autojump_clock: MockClock) -> None:
    """Clause Q3."""
    handle = Trouble()
    async with job_world(handle=handle) as world:
        job_id = await world.enqueue(sleep=1, effect=1)
        await trio.sleep(0.5)
        handle.late_s = 2 * COMMIT_TIMEOUT_S
        job = await world.ends(job_id)
        await trio.sleep(3 * COMMIT_TIMEOUT_S)
        assert (job.state, job.attempt, job.lease) == (JobState.SUCCEEDED, 1, 1)
        assert await world.effects() == [1]
        assert world.sample("jobs_total", queue="mail", outcome="succeeded") == 1


async def test_an_end_that_cannot_be_committed_within_the_lease_is_left_to_the_rescue(
    autojump_clock: MockClock,
) -> None:
    """Clauses Q3 and Q6."""
    handle = Trouble()
    async with job_world(handle=handle) as world:
        job_id = await world.enqueue(sleep=1, effect=1)
        await trio.sleep(0.5)
        handle.away = True
        await trio.sleep(LEASE_S)
        handle.away = False
        job = await world.ends(job_id)
        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
        assert await world.effects() == [1]
        assert world.sample("jobs_total", queue="mail", outcome="lost") == 1


async def test_journal_that_crashes_costs_an_attempt_and_no_effect(
    autojump_clock: MockClock,
) -> None:
    """Clause Q6."""
    handle = Trouble()
    async with job_world(handle=handle) as world:
        job_id = await world.enqueue(sleep=1, effect=1)
        await trio.sleep(0.5)
        handle.commits = [StorageError("it broke")]
        job = await world.ends(job_id)
        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
        assert await world.effects() == [1]


async def test_process_whose_journal_was_taken_over_claims_no_more_jobs(
    autojump_clock: MockClock,
) -> None:
    """Clause Q10."""
    async with job_world() as world:
        await trio.sleep(1)
        await world.database.execute(CLAIM_PARTITION, MAIN, "a newer process")
        await trio.sleep(2 * CHECK_EVERY_S)
        new = NewJob(queue="mail", name="send", merchant_id="m")
        write = job_write(new, job_id="j1", now=world.system.clock.now(), trace_id=None)
        await world.database.append([(write,)])
        await trio.sleep(60)
        job = await world.job("j1")
        assert (job.state, job.attempt) == (JobState.AVAILABLE, 0)
        assert world.worker.begun == []


async def test_stop_waits_for_short_jobs_and_gives_long_ones_back(
    autojump_clock: MockClock,
) -> None:
    """Clause Q10."""
    async with job_world() as world:
        short = await world.enqueue(sleep=1.5, effect=1)
        long = await world.enqueue(sleep=50, effect=2)
        await trio.sleep(0.1)
        await world.stop("job_runner")
        assert await world.state(short) is JobState.SUCCEEDED
        job = await world.job(long)
        assert (job.state, job.attempt, job.errors) == (JobState.AVAILABLE, 0, ())
        assert job.run_at <= world.system.clock.now()
        await world.restart("job_runner")
        assert (await world.ends(long)).attempt == 1
        assert await world.effects() == [1, 2]


async def test_stop_in_the_middle_of_a_claim_gives_the_jobs_back(
    autojump_clock: MockClock,
) -> None:
    """Clause Q10."""
    handle = Trouble()
    async with job_world(handle=handle) as world:
        await trio.sleep(0.5)
        handle.slow_s = 1.0
        job_id = await world.enqueue(sleep=50)
        await trio.sleep(0.2)
        handle.slow_s = 0.0
        await world.stop("job_runner")
        job = await world.job(job_id)
        assert (job.state, job.attempt, job.lease) == (JobState.AVAILABLE, 0, 1)


async def test_claims_that_collide_are_tried_again_and_then_later(
    autojump_clock: MockClock,
) -> None:
    """Clause Q4."""
    handle = Trouble()
    async with job_world(handle=handle) as world:
        await world.stop("job_runner")
        job_id = await world.enqueue()
        handle.collisions = CLAIM_TRIES
        assert await claim_elsewhere(world) == []
        handle.collisions = CLAIM_TRIES - 1
        assert [job.job_id for job in await claim_elsewhere(world)] == [job_id]


async def test_rescuers_at_the_same_time_take_a_job_back_once(autojump_clock: MockClock) -> None:
    """Clause Q6."""
    async with job_world() as world:
        await world.stop("job_runner")
        job_id = await world.enqueue()
        await claim_elsewhere(world)
        await lose(world, job_id)
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(rescue, world)
        assert len((await world.job(job_id)).errors) == 1
        assert world.sample("jobs_rescued_total", queue="mail") == 1


async def test_a_job_is_not_taken_back_while_its_claim_is_not_answered_yet(
    autojump_clock: MockClock,
) -> None:
    """Clause Q6: the lease seems to have run out, as after a step of the clock."""
    async with job_world() as world:
        await world.stop("job_runner")
        job_id = await world.enqueue()
        lane = Lane(MAIL, Leases())
        async with trio.open_nursery() as nursery, lane.claiming:
            (job,) = await claim_elsewhere(world)
            await lose(world, job_id)
            nursery.start_soon(rescue, world, lane)
            await trio.sleep(1)
            lane.enter(Attempt(job, trio.current_time(), inf, lane.nudges))
        assert await world.state(job_id) is JobState.RUNNING
        lane.leave(lane.attempts[job.token])
        await rescue(world, lane)
        assert await world.state(job_id) is JobState.RETRYABLE


async def test_two_who_cancel_the_same_job_are_told_who_did(autojump_clock: MockClock) -> None:
    """Clause Q7."""
    async with job_world() as world:
        job_id = await world.enqueue(sleep=20)
        answers: list[object] = []

        async def cancel(by: str) -> None:
            answers.append(await world.system.ref(JOBS).ask(CancelJob("m", job_id, by, "")))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cancel, "one")
            nursery.start_soon(cancel, "two")
        assert sorted(isinstance(answer, Job) for answer in answers) == [False, True]
        assert JobRefusal.ENDED in answers
        assert len((await world.job(job_id)).history) == 1


STORE_CALLS: dict[str, Callable[[World], Awaitable[object]]] = {
    "claim": claim_elsewhere,
    "beat": lambda world: world.store.beat("mail", worker="w", until=START),
    "look": lambda world: world.store.look(("mail",), now=START, here=START),
    "expired": lambda world: world.store.expired({"mail": 1}, now=START),
    "get": lambda world: world.store.get("m", "x"),
    "letter": lambda world: world.store.letter("x"),
    "counts": lambda world: world.store.counts(),
    "oldest": lambda world: world.store.oldest(["mail"]),
    "last_slot": lambda world: world.store.last_slot("m", "x"),
    "prune_jobs": lambda world: world.store.prune_jobs(START, 1),
    "prune_runs": lambda world: world.store.prune_runs(START, 1),
}


@pytest.mark.parametrize("name", STORE_CALLS)
async def test_a_cancelled_call_changes_nothing(name: str, autojump_clock: MockClock) -> None:
    async with job_world() as world:
        await world.stop("job_runner")
        job_id = await world.enqueue()
        with trio.CancelScope() as scope:
            scope.cancel()
            await STORE_CALLS[name](world)
            pytest.fail("not a checkpoint")
        assert scope.cancelled_caught
        assert (await world.job(job_id)).lease == 0


async def test_a_jump_of_the_wall_clock_takes_no_job_from_its_worker(
    autojump_clock: MockClock,
) -> None:
    """Clause Q6."""
    async with job_world() as world:
        job_id = await world.enqueue(sleep=40, effect=1)
        await trio.sleep(1)
        world.system.clock.start += timedelta(minutes=5)  # type: ignore[attr-defined]
        job = await world.ends(job_id)
        assert (job.attempt, job.lease) == (1, 1)
        assert world.sample("jobs_rescued_total", queue="mail") == 0


async def test_cancelled_while_it_runs_a_job_has_no_effect(autojump_clock: MockClock) -> None:
    """Clause Q7."""
    async with job_world() as world:
        job_id = await world.enqueue(sleep=20, effect=1, key="k")
        await trio.sleep(1)
        cancel = CancelJob("m", job_id, "operator", "wrong list")
        answer = await world.system.ref(JOBS).ask(cancel)
        assert isinstance(answer, Job)
        job = await world.job(job_id)
        assert job.state is JobState.CANCELLED
        assert [(note.action, note.by, note.reason) for note in job.history] == [
            ("cancel", "operator", "wrong list")
        ]
        second = await world.enqueue(effect=2, key="k")
        await world.ends(second)
        await trio.sleep(60)
        assert await world.effects() == [2]
        assert await world.system.ref(JOBS).ask(cancel) is JobRefusal.ENDED
        unknown = CancelJob("m", "nothing", "operator", "")
        assert await world.system.ref(JOBS).ask(unknown) is JobRefusal.NOT_FOUND


async def test_cancelled_while_it_waits_a_job_never_starts(autojump_clock: MockClock) -> None:
    """Clause Q7."""
    async with job_world() as world:
        later = world.system.clock.now() + timedelta(seconds=20)
        job_id = await world.enqueue(effect=1, run_at=later)
        await world.system.ref(JOBS).ask(CancelJob("m", job_id, "operator", "not needed"))
        await trio.sleep(40)
        assert world.worker.begun == []


async def test_runner_polls_when_it_cannot_listen(autojump_clock: MockClock) -> None:
    """Clause Q10."""
    handle = Trouble(deaf=True)
    async with job_world(handle=handle) as world:
        await trio.sleep(0.5)
        job_id = await world.enqueue()
        await trio.sleep(1.1)
        assert await world.state(job_id) is JobState.SUCCEEDED
        handle.deaf = False
        await trio.sleep(2)
        job_id = await world.enqueue()
        await trio.testing.wait_all_tasks_blocked()
        assert await world.state(job_id) is JobState.SUCCEEDED


async def test_runner_backs_off_while_the_store_is_away(autojump_clock: MockClock) -> None:
    """Clause Q10."""
    handle = Trouble()
    async with job_world(handle=handle) as world:
        await trio.sleep(1)
        handle.away = True
        before = handle.calls
        await trio.sleep(100)
        assert handle.calls - before < 250
        depth = await world.system.ref(JOBS).ask(GetQueueDepth("mail"))
        assert depth.depth == 0
        with pytest.raises(StorageError):
            await world.system.ref(JOBS).ask(CancelJob("m", "x", "operator", ""))


def job_like(**fields: Any) -> Job:
    values = dict.fromkeys(field.name for field in attrs.fields(Job))
    return Job(**(values | {"attempt": 1, "lease": 1, "errors": (), "history": ()} | fields))  # type: ignore[arg-type]


def test_a_job_that_is_postponed_for_ever_uses_its_attempts_up() -> None:
    """Clause Q5."""
    early = postponement(job_like(lease=CLAIMS_MAX - 1, attempt=2), MAIL, 5, "429", START)
    assert (early.state, early.attempt) == (JobState.RETRYABLE, 1)
    late = postponement(job_like(lease=CLAIMS_MAX, attempt=2), MAIL, 5, "429", START)
    assert (late.state, late.attempt) == (JobState.RETRYABLE, 2)
    last = postponement(job_like(lease=CLAIMS_MAX + 9, attempt=5), MAIL, 5, "429", START)
    assert (last.state, last.errors[0].error) == (JobState.DEAD, "429")


def test_delays_double_up_to_their_limit_and_are_drawn_evenly() -> None:
    """Clause Q5."""
    random = Random(1)
    plain = Delays(initial_s=60, max_s=960, jitter=False)
    assert [plain.delay_s(n, random) for n in range(1, 7)] == [60, 120, 240, 480, 960, 960]
    drawn = [Delays(initial_s=4, max_s=10).delay_s(2, random) for _ in range(2_000)]
    assert 0 <= min(drawn) < 0.1
    assert 7.9 < max(drawn) <= 8
    assert 3.8 < sum(drawn) / len(drawn) < 4.2


def test_errors_are_kept_in_a_form_and_number_that_every_store_takes() -> None:
    """Clause Q7."""
    job = job_like(attempt=1)
    verdict = failure(job, MAIL, "a\0b\ud800" + "x" * 5_000, START, Random(1))
    (error,) = verdict.errors
    assert error.error.startswith("a\N{REPLACEMENT CHARACTER}b?xx")
    assert len(error.error) == 2_000
    for _ in range(60):
        verdict = failure(attrs.evolve(job, errors=verdict.errors), MAIL, "again", START, Random(1))
    assert len(verdict.errors) == 50
