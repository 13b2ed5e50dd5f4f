"""Jobs that run: enqueueing, effects, order, bounds, retries."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from runtime import ActorDown, ActorSystem, request_context
from runtime.context import current_trace_id
from runtime.jobs import (
    JOBS,
    Delays,
    Enqueue,
    Enqueued,
    GetRunnerStatistics,
    Job,
    JobsAdded,
    JobState,
    NewJob,
    PermanentFailure,
    QueuePolicy,
    RetryAfter,
    job_write,
)
from runtime.jobs.handlers import POSTPONED_S_MAX
from runtime.jobs.messages import RUNNER
from runtime.jobs.runner import POLL_S, UNKNOWN_NAME_DELAY_S
from runtime.jobs.store import JobStore
from runtime.journal import JOURNAL, Append, Rejected
from runtime.storage import Entry
from runtime.storage.outbox import SELECT_BACKLOG, outbox_write
from tests.unit.jobs.trouble import Trouble
from tests.unit.jobs.world import MAIL, World, effect, job_world


async def test_effects_and_the_end_of_the_job_are_one_transaction(
    autojump_clock: MockClock,
) -> None:
    """Clauses Q1 and Q3."""
    async with job_world() as world:
        job = await world.ends(await world.enqueue(effect=7))
        assert job.state is JobState.SUCCEEDED
        assert (job.attempt, job.lease, job.errors, job.leased_until) == (1, 1, (), None)
        assert await world.effects() == [7]
        await trio.testing.wait_all_tasks_blocked()
        assert world.sample("jobs_total", queue="mail", outcome="succeeded") == 1
        assert world.sample("job_duration_seconds_count", queue="mail") == 1


async def test_job_starts_at_once_when_it_was_enqueued_or_announced(
    autojump_clock: MockClock,
) -> None:
    """Clause Q10."""
    async with job_world() as world:
        await trio.testing.wait_all_tasks_blocked()
        before = trio.current_time()
        await world.enqueue()
        await trio.testing.wait_all_tasks_blocked()
        await write_job(world, "announced")
        world.system.ref(JOBS).tell(JobsAdded("mail"))
        await trio.testing.wait_all_tasks_blocked()
        assert len(world.worker.begun) == 2
        assert trio.current_time() == before


async def write_job(world: World, job_id: str, **fields: Any) -> Rejected | None:
    write = job_write(
        NewJob(queue="mail", name="send", merchant_id="m", **fields),
        job_id=job_id,
        now=world.system.clock.now(),
        trace_id="trace-1",
    )
    return await world.system.ref(JOURNAL).ask(Append((write, effect(1))))


async def test_job_nobody_announced_starts_a_second_later(autojump_clock: MockClock) -> None:
    """Clause Q10."""
    async with job_world() as world:
        await trio.testing.wait_all_tasks_blocked()
        await write_job(world, "silent")
        await trio.sleep(POLL_S + 0.01)
        assert await world.state("silent") is JobState.SUCCEEDED


async def test_job_of_an_entry_that_was_rejected_does_not_exist(
    autojump_clock: MockClock,
) -> None:
    """Clause Q1."""
    async with job_world() as world:
        assert await write_job(world, "first") is None
        assert isinstance(await write_job(world, "second"), Rejected)
        assert await world.store.get("m", "second") is None


async def test_one_unique_key_is_live_once(autojump_clock: MockClock) -> None:
    """Clause Q1."""
    async with job_world() as world:
        first = await world.enqueue(unique_key="report", sleep=5)
        new = NewJob(queue="mail", name="send", merchant_id="m", unique_key="report")
        assert await world.system.ref(JOBS).ask(Enqueue(new)) == Enqueued(first, duplicate=True)
        elsewhere = attrs.evolve(new, merchant_id="other")
        answer = await world.system.ref(JOBS).ask(Enqueue(elsewhere))
        assert isinstance(answer, Enqueued)
        assert not answer.duplicate
        await world.ends(first)
        answer = await world.system.ref(JOBS).ask(Enqueue(new))
        assert isinstance(answer, Enqueued)
        assert (answer.duplicate, answer.job_id == first) == (False, False)


async def test_a_job_whose_twin_ends_at_that_moment_is_enqueued(autojump_clock: MockClock) -> None:
    """Clause Q1: the twin is live when the job is written, and not when it is looked for."""
    handle = Trouble()
    async with job_world(handle=handle) as world:
        first = await world.enqueue(unique_key="report", sleep=5)
        await trio.sleep(4.5)
        handle.hesitant_s = 0.7
        second = await world.enqueue(unique_key="report")
        handle.hesitant_s = 0.0
        assert second != first
        assert (await world.ends(second)).state is JobState.SUCCEEDED


async def test_a_job_may_enqueue_the_next_of_its_unique_key(autojump_clock: MockClock) -> None:
    """Clause Q1: its own end is part of the same entry."""

    async def chained(job: Job, system: ActorSystem) -> Entry:
        if job.job_id == "next":
            return ()
        new = NewJob(queue="mail", name="send", merchant_id="m", unique_key="report")
        return (job_write(new, job_id="next", now=system.clock.now(), trace_id=None),)

    async with job_world() as world:
        world.worker.behaviour = chained
        await world.enqueue(unique_key="report")
        await trio.sleep(10)
        assert await world.state("next") is JobState.SUCCEEDED


async def test_duplicate_in_an_entry_leaves_the_rest_of_it_alone(
    autojump_clock: MockClock,
) -> None:
    """Clause Q1."""
    async with job_world() as world:
        await world.enqueue(unique_key="report", sleep=5)
        assert await write_job(world, "twin", unique_key="report") is None
        assert await world.store.get("m", "twin") is None
        assert await world.effects() == [1]


async def test_trace_goes_from_the_enqueuer_to_the_handler(autojump_clock: MockClock) -> None:
    """Clause Q1."""
    traces: list[str | None] = []

    async def traced(job: Job, system: ActorSystem) -> Entry:
        traces.extend((job.trace_id, current_trace_id()))
        return ()

    async with job_world(handlers={"traced": traced}) as world:
        with request_context(trace_id="req_1"):
            await world.ends(await world.enqueue(name="traced"))
        assert traces == ["req_1", "req_1"]


async def test_job_waits_for_its_time(autojump_clock: MockClock) -> None:
    """Clause Q4."""
    async with job_world() as world:
        run_at = world.system.clock.now() + timedelta(seconds=50)
        job_id = await world.enqueue(run_at=run_at)
        await trio.sleep(49)
        assert await world.state(job_id) is JobState.AVAILABLE
        await trio.sleep(3)
        assert await world.state(job_id) is JobState.SUCCEEDED


ONE_AT_A_TIME = QueuePolicy(name="mail", concurrency=1)


async def test_higher_priority_first_then_the_order_of_coming_due(
    autojump_clock: MockClock,
) -> None:
    """Clause Q4."""
    async with job_world(ONE_AT_A_TIME) as world:
        await world.stop("job_runner")
        for letter, priority in (("a", 0), ("b", 0), ("c", 5), ("d", -1), ("e", 5)):
            await world.enqueue(letter=letter, priority=priority)
        order: list[Any] = []

        async def note(job: Job, system: ActorSystem) -> None:
            order.append(job.payload["letter"])

        world.worker.behaviour = note
        await world.restart("job_runner")
        await trio.sleep(2)
        assert order == ["c", "e", "a", "b", "d"]


async def test_jobs_of_a_key_run_one_after_another_and_others_do_not_wait(
    autojump_clock: MockClock,
) -> None:
    """Clause Q4."""
    events: list[str] = []

    async def note(job: Job, system: ActorSystem) -> Entry:
        name: str = job.payload["n"]
        events.append(f"begin {name}")
        await trio.sleep(10)
        if name == "a1" and job.attempt < 3:
            raise RuntimeError("not yet")
        events.append(f"end {name}")
        return ()

    async with job_world(handlers={"note": note}) as world:
        for name, key in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("x", None), ("a3", "a")):
            await world.enqueue(name="note", n=name, key=key)
        await trio.sleep(200)
        line = [event for event in events if " a" in event]
        assert line == [
            "begin a1", "begin a1", "begin a1", "end a1",
            "begin a2", "end a2", "begin a3", "end a3",
        ]  # fmt: skip
        assert events[:3] == ["begin a1", "begin b1", "begin x"]
        assert events.index("end b1") < events.index("end a1")


async def test_the_store_is_asked_for_jobs_only_when_there_may_be_some(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims: list[str] = []
    claim = JobStore.claim

    async def counted(store: JobStore, queue: str, **options: Any) -> list[Job]:
        claims.append(queue)
        return await claim(store, queue, **options)

    monkeypatch.setattr(JobStore, "claim", counted)
    async with job_world() as world:
        await trio.sleep(30.25)
        assert "mail" not in claims
        for _ in range(3):
            await world.ends(await world.enqueue(sleep=1))
            await trio.sleep(5)
        assert claims.count("mail") == 3
        await world.ends(await world.enqueue(key="a"))
        await trio.sleep(5)
        assert claims.count("mail") == 3 + 1
        # It ends between two looks: one at that moment may see the next job before it is claimed.
        first, second = await world.enqueue(key="a", sleep=8.5), await world.enqueue(key="a")
        await trio.sleep(8)
        assert claims.count("mail") == 4 + 2, "one for each notice, and none while the line waits"
        await world.ends(first)
        await world.ends(second)
        assert claims.count("mail") == 6 + 1


async def test_dead_job_releases_its_key(autojump_clock: MockClock) -> None:
    """Clause Q4."""
    async with job_world() as world:
        first = await world.enqueue(key="k", errors=99)
        second = await world.enqueue(key="k")
        assert (await world.ends(first)).state is JobState.DEAD
        assert (await world.ends(second)).state is JobState.SUCCEEDED


@pytest.mark.slow
async def test_never_more_run_than_the_queue_allows_and_queues_do_not_share(
    autojump_clock: MockClock,
) -> None:
    """Clause Q9."""
    quick = QueuePolicy(name="quick")
    async with job_world(QueuePolicy(name="mail", concurrency=4), quick) as world:
        for _ in range(10):
            await world.enqueue(sleep=30)
        await trio.sleep(1)
        assert world.worker.running == 4
        statistics = await world.system.ref(RUNNER).ask(GetRunnerStatistics())
        assert {each.queue: each.running for each in statistics.queues} == {
            "scheduled": 0, "mail": 4, "quick": 0,
        }  # fmt: skip
        before = trio.current_time()
        await world.ends(await world.enqueue(queue="quick"))
        assert trio.current_time() - before < 1
        await trio.sleep(100)
        assert world.worker.most == 4 + 1
        assert len(world.worker.ended) == 11


async def test_handler_that_does_not_end_at_its_timeout_keeps_its_place(
    autojump_clock: MockClock,
) -> None:
    """Clause Q9."""
    policy = QueuePolicy(name="mail", concurrency=1, attempt_timeout_s=5)

    async def stubborn(job: Job, system: ActorSystem) -> Entry:
        with trio.CancelScope(shield=True):
            await trio.sleep(20)
        return ()

    async with job_world(policy, handlers={"stubborn": stubborn}) as world:
        await world.enqueue(name="stubborn")
        second = await world.enqueue()
        await trio.sleep(19)
        assert await world.state(second) is JobState.AVAILABLE
        await trio.sleep(3)
        assert await world.state(second) is JobState.SUCCEEDED


async def test_failed_attempts_wait_longer_and_longer_and_end_dead(
    autojump_clock: MockClock,
) -> None:
    """Clauses Q2 and Q5."""
    fixed = attrs.evolve(MAIL, delays=Delays(initial_s=3, max_s=12, jitter=False))
    begun: list[float] = []

    async def fail(job: Job, system: ActorSystem) -> None:
        begun.append(round(trio.current_time()))
        raise ValueError(f"attempt {job.attempt}")

    async with job_world(fixed) as world:
        world.worker.behaviour = fail
        with request_context(trace_id="req_9"):
            job = await world.ends(await world.enqueue(text="hello"))
        assert job.state is JobState.DEAD
        assert [after - before for before, after in pairwise(begun)] == [
            pytest.approx(wait, abs=1) for wait in (3, 6, 12, 12)
        ]
        assert [error.error for error in job.errors] == [
            f"ValueError: attempt {number}" for number in range(1, 6)
        ]
        assert [error.attempt for error in job.errors] == [1, 2, 3, 4, 5]
        assert (job.payload, job.trace_id) == ({"text": "hello"}, "req_9")
        assert world.sample("jobs_total", queue="mail", outcome="retried") == 4
        assert world.sample("jobs_total", queue="mail", outcome="dead") == 1
        assert world.sample("jobs_dead_total", queue="mail") == 1


async def test_retry_after_does_not_cost_an_attempt(autojump_clock: MockClock) -> None:
    """Clause Q5."""
    attempts: list[tuple[int, float]] = []

    async def limited(job: Job, system: ActorSystem) -> Entry:
        attempts.append((job.attempt, round(trio.current_time())))
        if len(attempts) < 8:
            raise RetryAfter(10, "429")
        return (effect(1),)

    async with job_world(handlers={"limited": limited}) as world:
        job = await world.ends(await world.enqueue(name="limited"))
        assert (job.state, job.attempt, job.lease, job.errors) == (JobState.SUCCEEDED, 1, 8, ())
        assert {attempt for attempt, _ in attempts} == {1}
        assert all(10 <= b - a <= 12 for (_, a), (_, b) in pairwise(attempts))
        assert world.sample("jobs_total", queue="mail", outcome="postponed") == 7


async def test_permanent_failure_is_dead_at_once(autojump_clock: MockClock) -> None:
    """Clause Q5."""

    async def refused(job: Job, system: ActorSystem) -> Entry:
        async with trio.open_nursery():
            raise PermanentFailure("no such number")

    async with job_world(handlers={"refused": refused}) as world:
        job = await world.ends(await world.enqueue(name="refused"))
        assert (job.state, job.attempt) == (JobState.DEAD, 1)
        assert job.errors[0].error == "PermanentFailure: no such number"


async def test_attempt_that_takes_too_long_is_cancelled_and_failed(
    autojump_clock: MockClock,
) -> None:
    """Clause Q5."""
    async with job_world() as world:
        job_id = await world.enqueue(sleep=1_000)
        await trio.sleep(60.5)
        job = await world.job(job_id)
        assert (job.state, job.attempt) == (JobState.RETRYABLE, 1)
        assert job.errors[0].error == "the attempt took longer than 60 s"
        assert world.worker.running == 0


async def test_errors_beside_a_timeout_are_the_attempts_failure(
    autojump_clock: MockClock,
) -> None:
    """Clause Q5."""

    async def untidy(job: Job, system: ActorSystem) -> Entry:
        async def complain() -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise RuntimeError("while cleaning up")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(complain)
        return ()

    async with job_world(handlers={"untidy": untidy}) as world:
        job_id = await world.enqueue(name="untidy")
        await trio.sleep(60.5)
        assert (await world.job(job_id)).errors[0].error == "RuntimeError: while cleaning up"
        assert (await world.system.ref(RUNNER).inspect()).incarnation == 1


async def test_effects_that_break_a_constraint_fail_the_attempt(
    autojump_clock: MockClock,
) -> None:
    """Clauses Q3 and Q5."""
    async with job_world() as world:
        job = await world.ends(await world.enqueue(effect=-1))
        assert job.state is JobState.DEAD
        assert len(job.errors) == 5
        assert "ConstraintViolation" in job.errors[0].error
        assert await world.effects() == []


async def test_name_that_no_handler_has_is_left_for_a_newer_process(
    autojump_clock: MockClock,
) -> None:
    """Clause Q5."""
    async with job_world() as world:
        job_id = await world.enqueue(name="tomorrow")
        await trio.sleep(UNKNOWN_NAME_DELAY_S * 3)
        job = await world.job(job_id)
        assert (job.state, job.attempt, job.errors) == (JobState.AVAILABLE, 0, ())
        assert job.lease == 3


async def test_handler_may_enqueue_and_publish_in_its_own_transaction(
    autojump_clock: MockClock,
) -> None:
    """Clauses Q1 and Q3."""

    async def chain(job: Job, system: ActorSystem) -> Entry:
        now = system.clock.now()
        follower = NewJob(queue="mail", name="send", payload={"effect": 5}, merchant_id="m")
        event = outbox_write(
            merchant_id="m", event_id="e1", topic="t", key="k", payload={}, created_at=now
        )
        return (job_write(follower, job_id="follower", now=now, trace_id=job.trace_id), event)

    async with job_world(handlers={"chain": chain}) as world:
        await trio.testing.wait_all_tasks_blocked()
        before = trio.current_time()
        await world.enqueue(name="chain")
        await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() == before
        assert await world.state("follower") is JobState.SUCCEEDED
        assert await world.effects() == [5]
        assert await world.database.fetch_value(SELECT_BACKLOG) == 0


async def test_a_queue_of_many_is_worked_off_without_a_pause(autojump_clock: MockClock) -> None:
    """Clause Q10."""
    async with job_world(QueuePolicy(name="mail", concurrency=50)) as world:
        await world.stop("job_runner")
        for _ in range(120):
            await world.enqueue()
        before = trio.current_time()
        await world.restart("job_runner")
        await trio.testing.wait_all_tasks_blocked()
        assert len(world.worker.ended) == 120
        assert trio.current_time() == before


def test_a_provider_cannot_postpone_a_job_for_ever() -> None:
    """Clause Q5."""
    assert RetryAfter(10**9, "429").delay_s == POSTPONED_S_MAX
    assert RetryAfter(-5, "429").delay_s == 0


async def test_a_message_that_is_not_for_them_ends_runner_and_desk(
    autojump_clock: MockClock,
) -> None:
    """Clause Q10: and they come back."""
    async with job_world() as world:
        for name in (RUNNER, JOBS):
            with pytest.raises(ActorDown):
                await world.system.ref(name).ask(Append(()))
        await trio.sleep(1)
        assert (await world.ends(await world.enqueue())).state is JobState.SUCCEEDED
