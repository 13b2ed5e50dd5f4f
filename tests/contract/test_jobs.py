"""What the job queue asks of every store: claims, order, leases, fencing, slots."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import attrs
import pytest
import trio

from runtime import host
from runtime.jobs import JOBS_MIGRATIONS, Job, JobState, NewJob, QueuePolicy, job_write
from runtime.jobs.model import PLATFORM, JobNote, death, failure, postponement, success
from runtime.jobs.queries import END_ATTEMPT, INSERT_RUN
from runtime.jobs.store import JobStore, cancel_write, end_write, put_back_write, rescue_write
from runtime.ports import VirtualClock
from runtime.storage import (
    ConstraintViolation,
    Database,
    Dialect,
    Statement,
    Superseded,
    Write,
    migrate,
    open_database,
)

pytestmark = pytest.mark.trio(run=host.run)

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
LEASE = timedelta(seconds=30)
SECOND = timedelta(seconds=1)
POLICY = QueuePolicy(name="mail")
CREATE_EFFECTS = (
    "CREATE TABLE effects (merchant_id TEXT NOT NULL, job_id TEXT NOT NULL,"
    " PRIMARY KEY (merchant_id, job_id))"
)
INSERT_EFFECT = Statement(
    "effects.insert", "INSERT INTO effects (merchant_id, job_id) VALUES ($1, $2)", 10
)


@attrs.define
class Queue:
    """The queue `mail` in a store that has nothing but job tables."""

    database: Database
    number: int = 0

    @property
    def store(self) -> JobStore:
        return JobStore(self.database)

    async def add(self, job_id: str, at: datetime = NOW, **fields: Any) -> str:
        new = NewJob(**({"queue": "mail", "name": "send", "merchant_id": "m"} | fields))
        await self.database.append([(job_write(new, job_id=job_id, now=at, trace_id="t"),)])
        return job_id

    async def claim(
        self,
        limit: int = 100,
        worker: str = "w",
        now: datetime = NOW,
        queue: str = "mail",
        here: datetime | None = None,
    ) -> list[Job]:
        until = now + LEASE
        return await self.store.claim(
            queue, limit=limit, worker=worker, now=now, until=until, here=here
        )

    async def claim_ids(self, limit: int = 100, **options: Any) -> list[str]:
        return [job.job_id for job in await self.claim(limit, **options)]

    async def end(self, job: Job, now: datetime = NOW) -> None:
        effect = Write(INSERT_EFFECT, (job.merchant_id, job.job_id))
        await self.database.append([(effect, end_write(job, success(job), now))])

    async def fail(self, job: Job, now: datetime = NOW) -> None:
        verdict = failure(job, POLICY, "it failed", now, Random(1))
        await self.database.append([(end_write(job, verdict, now),)])

    async def kill(self, job: Job, now: datetime = NOW) -> None:
        await self.database.append([(end_write(job, death(job, "it died", now), now),)])

    async def get(self, job_id: str) -> Job:
        job = await self.store.get("m", job_id)
        assert job is not None
        return job

    async def effects(self) -> int:
        count: int = await self.database.fetch_value(
            "SELECT count(*) FROM effects WHERE merchant_id = $1", "m"
        )
        return count


@pytest.fixture
async def queue(database: Database, database_url: str) -> AsyncIterator[Queue]:
    """On PostgreSQL under the application's role, for whom row-level security holds."""
    await migrate(database, [JOBS_MIGRATIONS], NOW)
    await database.execute(CREATE_EFFECTS)
    if database.dialect is Dialect.SQLITE:
        yield Queue(database)
        return
    await database.execute("SELECT loyalnest_protect('effects')")
    async with AsyncExitStack() as stack:
        application = await open_database(database_url)
        stack.push_async_callback(application.close)
        yield Queue(application)


async def test_a_job_comes_back_as_it_was_written(queue: Queue) -> None:
    payload: dict[str, object] = {"to": ["ann", None, 1.5], "deep": {"x": True}}
    later = NOW + SECOND
    await queue.add("j1", payload=payload, key="k", unique_key="u", priority=3, run_at=later)
    assert await queue.get("j1") == Job(
        merchant_id="m",
        job_id="j1",
        queue="mail",
        name="send",
        key="k",
        unique_key="u",
        priority=3,
        payload=payload,
        trace_id="t",
        state=JobState.AVAILABLE,
        attempt=0,
        due_at=later,
        run_at=later,
        created_at=NOW,
        lease=0,
        worker=None,
        leased_until=None,
        finished_at=None,
        errors=(),
        history=(),
    )
    assert await queue.store.get("m", "other") is None
    assert await queue.store.get("other", "j1") is None


async def test_claims_take_the_best_first_and_only_what_is_due(queue: Queue) -> None:
    """Clause Q4."""
    await queue.add("late", at=NOW - SECOND)
    await queue.add("first", at=NOW - 2 * SECOND)
    await queue.add("urgent", priority=1)
    await queue.add("future", run_at=NOW + SECOND, priority=9)
    await queue.add("elsewhere", queue="other", priority=9)
    assert await queue.claim_ids(2) == ["urgent", "first"]
    assert await queue.claim_ids() == ["late"]
    assert await queue.claim_ids() == []
    assert await queue.claim_ids(now=NOW + SECOND) == ["future"]
    assert await queue.claim_ids(queue="other") == ["elsewhere"]


async def test_a_claim_counts_the_attempt_and_leases_the_job(queue: Queue) -> None:
    """Clauses Q2 and Q3."""
    await queue.add("j1")
    (job,) = await queue.claim(worker="w7")
    assert (job.state, job.attempt, job.lease) == (JobState.RUNNING, 1, 1)
    assert (job.worker, job.leased_until) == ("w7", NOW + LEASE)
    assert await queue.get("j1") == job


async def test_one_of_a_key_at_a_time_in_order_of_coming_due(queue: Queue) -> None:
    """Clause Q4."""
    await queue.add("a2", at=NOW - SECOND, key="a")
    await queue.add("a1", at=NOW - 2 * SECOND, key="a")
    await queue.add("a3", key="a", priority=9)
    await queue.add("b1", key="b")
    await queue.add("n1", merchant_id="n", key="a")
    assert sorted(await queue.claim_ids()) == ["a1", "b1", "n1"]
    assert await queue.claim_ids() == []
    await queue.fail(await queue.get("a1"))
    assert await queue.claim_ids() == []
    (job,) = await queue.claim(now=NOW + 10 * SECOND)
    assert (job.job_id, job.attempt, job.errors[0].error) == ("a1", 2, "it failed")
    await queue.end(job)
    (job,) = await queue.claim()
    assert job.job_id == "a2"
    await queue.kill(job)
    assert await queue.claim_ids() == ["a3"]


async def test_an_older_job_that_turns_up_late_does_not_run_beside_its_key(queue: Queue) -> None:
    """Clause Q4."""
    await queue.add("second", key="k")
    assert await queue.claim_ids() == ["second"]
    await queue.add("first", at=NOW - SECOND, key="k")
    assert await queue.claim_ids() == []
    await queue.end(await queue.get("second"))
    assert await queue.claim_ids() == ["first"]


async def test_claimers_at_the_same_time_share_no_job_and_no_key(queue: Queue) -> None:
    """Clause Q4."""
    keys = [None, "a", "b", "c"]
    for number in range(60):
        await queue.add(f"j{number:03}", key=keys[number % 4])
    claimed: list[str] = []
    running: set[str] = set()
    random = Random(4)

    async def work(worker: str) -> None:
        idle = 0
        while idle < 3:
            jobs = await queue.claim(random.randrange(1, 5), worker)
            idle = 0 if jobs else idle + 1
            for job in jobs:
                assert job.key not in running
                claimed.append(job.job_id)
                running.update({job.key} if job.key else ())
            for job in jobs:
                await trio.lowlevel.checkpoint()
                running.discard(job.key or "")
                await queue.end(job)

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(work, f"w{number}")
    claimed += await queue.claim_ids()
    assert len(claimed) == len(set(claimed))
    for key in ("a", "b", "c"):
        line = [job_id for job_id in claimed if keys[int(job_id[1:]) % 4] == key]
        assert line == sorted(line)
    assert await queue.effects() >= 45


async def test_one_question_says_which_queues_have_something_to_claim(queue: Queue) -> None:
    """Clause Q10: what is due on either clock; what waits for its next attempt is not."""
    queues = ("mail", "empty")

    async def due(queues: Sequence[str], *, now: datetime, here: datetime) -> Sequence[str]:
        return (await queue.store.look(queues, now=now, here=here)).due

    assert await due(queues, now=NOW, here=NOW) == ()
    await queue.add("j1", run_at=NOW + SECOND)
    assert await due(queues, now=NOW, here=NOW) == ()
    assert await due(queues, now=NOW, here=NOW + SECOND) == ("mail",)
    assert await due(queues, now=NOW + SECOND, here=NOW) == ("mail",)
    assert await due(("empty",), now=NOW + SECOND, here=NOW) == ()
    (job,) = await queue.claim(now=NOW + SECOND)
    assert await due(queues, now=NOW + SECOND, here=NOW) == ()
    verdict = postponement(job, POLICY, 60.0, "not now", NOW)
    await queue.database.append([(end_write(job, verdict, NOW),)])
    assert await due(queues, now=NOW, here=NOW + 90 * SECOND) == ()
    assert await due(queues, now=NOW + 60 * SECOND, here=NOW) == ("mail",)


async def test_a_look_says_when_the_next_lease_ends_and_the_first_job_comes_due(
    queue: Queue,
) -> None:
    """Clauses Q6 and Q10."""

    async def moments() -> tuple[datetime | None, datetime | None]:
        seen = await queue.store.look(("empty",), now=NOW, here=NOW)
        return seen.leased_until, seen.first_due

    assert await moments() == (None, None)
    await queue.add("j1", run_at=NOW + 7 * SECOND)
    await queue.add("j2", run_at=NOW + 5 * SECOND)
    assert await moments() == (None, NOW + 5 * SECOND)
    (job,) = await queue.claim(now=NOW + 5 * SECOND)
    assert await moments() == (job.leased_until, NOW + 7 * SECOND)
    await queue.end(job)
    assert await moments() == (None, NOW + 7 * SECOND)


async def test_a_late_worker_is_fenced_and_its_effects_are_undone(queue: Queue) -> None:
    """Clause Q3."""
    await queue.add("j1")
    (late,) = await queue.claim(worker="late")
    later = NOW + LEASE
    verdict = failure(late, POLICY, "the lease ran out", later, Random(1))
    await queue.database.append([(rescue_write(late, verdict, later),)])
    with pytest.raises(Superseded) as caught:
        await queue.end(late)
    assert caught.value.statement == END_ATTEMPT.name
    (job,) = await queue.claim(now=later + 10 * SECOND)
    assert (job.attempt, job.lease) == (2, 2)
    with pytest.raises(Superseded):
        await queue.end(late)
    assert await queue.effects() == 0
    await queue.end(job)
    assert await queue.effects() == 1
    with pytest.raises(ConstraintViolation):
        await queue.end(job)


async def test_leases_are_measured_by_the_clock_that_the_workers_share(queue: Queue) -> None:
    """Clause Q6: the server's, where there is one."""
    wrong = VirtualClock(NOW)
    shared = await queue.store.now(wrong)
    if queue.database.dialect is Dialect.POSTGRESQL:
        assert abs(shared - datetime.now(UTC)) < timedelta(seconds=30)
    else:
        assert timedelta() <= wrong.now() - shared < timedelta(seconds=30)


async def test_a_lease_that_was_renewed_is_not_rescued(queue: Queue) -> None:
    """Clause Q6."""
    await queue.add("j1")
    await queue.add("j2")
    one, two = await queue.claim(worker="w1")
    limits = {"mail": 9, "empty": 9}
    expired = await queue.store.expired(limits, now=NOW + LEASE)
    assert expired == {"mail": [one, two], "empty": []}
    assert (await queue.store.expired(limits, now=NOW + LEASE - SECOND))["mail"] == []
    renewed = await queue.store.beat("mail", worker="w1", until=NOW + 2 * LEASE)
    assert renewed == {one.token, two.token}
    assert await queue.store.beat("mail", worker="w2", until=NOW + 2 * LEASE) == set()
    verdict = failure(one, POLICY, "the lease ran out", NOW + LEASE, Random(1))
    with pytest.raises(Superseded):
        await queue.database.append([(rescue_write(one, verdict, NOW + LEASE),)])
    assert (await queue.get("j1")).state is JobState.RUNNING


async def test_many_ends_in_one_transaction(queue: Queue) -> None:
    """Clause Q3: also in the form for many rows."""
    for number in range(5):
        await queue.add(f"j{number}")
    jobs = await queue.claim()
    await queue.database.append([(end_write(job, success(job), NOW),) for job in jobs[:3]])
    with pytest.raises(Superseded):
        await queue.database.append([(end_write(job, success(job), NOW),) for job in jobs[2:]])
    states = [(await queue.get(f"j{number}")).state for number in range(5)]
    assert states == [JobState.SUCCEEDED] * 3 + [JobState.RUNNING] * 2
    assert (await queue.get("j0")).finished_at == NOW


async def test_many_jobs_in_one_transaction_with_twins_among_them(queue: Queue) -> None:
    """Clause Q1: also in the form for many rows."""
    await queue.add("j0", unique_key="u0")
    news = [
        NewJob(queue="mail", name="send", merchant_id="m", unique_key=f"u{number // 2}")
        for number in range(6)
    ]
    entries = [
        (job_write(new, job_id=f"k{number}", now=NOW, trace_id=None),)
        for number, new in enumerate(news)
    ]
    await queue.database.append(entries)
    assert sorted(await queue.claim_ids()) == ["j0", "k2", "k4"]
    assert await queue.store.live_twin(news[2]) == "k2"
    await queue.end(await queue.get("k2"))
    assert await queue.store.live_twin(news[2]) is None
    await queue.add("k6", unique_key="u1")
    assert (await queue.get("k6")).state is JobState.AVAILABLE


async def test_dead_letters_are_listed_latest_first_page_by_page(queue: Queue) -> None:
    """Clause Q7."""
    for number in range(5):
        await queue.add(f"j{number}", merchant_id=f"m{number % 2}")
    for job in await queue.claim():
        await queue.kill(job, NOW + int(job.job_id[1:]) // 2 * SECOND)
    newest = (datetime.max.replace(tzinfo=UTC), "")
    first = await queue.store.list_dead(newest, 3)
    assert [job.job_id for job in first] == ["j4", "j3", "j2"]
    last = first[-1]
    assert last.finished_at is not None
    rest = await queue.store.list_dead((last.finished_at, last.job_id), 3)
    assert [job.job_id for job in rest] == ["j1", "j0"]
    assert await queue.store.letter("j3") == first[1]
    assert await queue.store.letter("nothing") is None


async def test_a_dead_job_that_is_put_back_stands_at_the_end_of_its_line(queue: Queue) -> None:
    """Clause Q7."""
    await queue.add("j1", key="k", at=NOW - SECOND)
    (job,) = await queue.claim()
    await queue.kill(job)
    await queue.add("j2", key="k")
    dead = await queue.store.letter("j1")
    assert dead is not None
    note = JobNote(NOW + SECOND, "put_back", "operator\0", "number corrected")
    await queue.database.append([(put_back_write(dead, note),)])
    with pytest.raises(Superseded):
        await queue.database.append([(put_back_write(dead, note),)])
    back = await queue.get("j1")
    assert (back.state, back.attempt, back.lease) == (JobState.AVAILABLE, 0, 1)
    assert (back.finished_at, back.due_at) == (None, NOW + SECOND)
    assert [error.error for error in back.errors] == ["it died"]
    (kept,) = back.history
    assert (kept.at, kept.action) == (note.at, "put_back")
    assert (kept.by, kept.reason) == ("operator\N{REPLACEMENT CHARACTER}", note.reason)
    (job,) = await queue.claim(now=NOW + SECOND)
    assert job.job_id == "j2"


async def test_a_new_job_may_come_due_by_the_clock_of_its_runner(queue: Queue) -> None:
    """Clauses Q5 and Q10: another attempt waits by the clock of the store, as it was told to."""
    later = NOW + timedelta(hours=1)
    await queue.add("j1", at=later)
    assert await queue.claim() == []
    (job,) = await queue.claim(here=later)
    assert job.leased_until == NOW + LEASE
    await queue.fail(job)
    assert await queue.claim(here=later) == []


async def test_a_dead_job_whose_unique_key_is_live_again_stays_dead(queue: Queue) -> None:
    """Clause Q7."""
    await queue.add("j1", unique_key="u")
    (job,) = await queue.claim()
    await queue.kill(job)
    await queue.add("j2", unique_key="u")
    note = JobNote(NOW, "put_back", "operator", "again")
    with pytest.raises(ConstraintViolation):
        await queue.database.append([(put_back_write(job, note),)])


async def test_a_cancelled_job_is_fenced_and_releases_its_key(queue: Queue) -> None:
    """Clauses Q4 and Q7."""
    await queue.add("j1", key="k")
    await queue.add("j2", key="k")
    (job,) = await queue.claim()
    note = JobNote(NOW, "cancel", "operator", "wrong list")
    await queue.database.append([(cancel_write(job, note),)])
    assert await queue.store.beat("mail", worker="w", until=NOW + 2 * LEASE) == set()
    with pytest.raises(Superseded):
        await queue.end(job)
    assert await queue.claim_ids() == ["j2"]
    with pytest.raises(Superseded):
        await queue.database.append([(cancel_write(job, note),)])


async def test_queues_are_counted_by_state_and_know_their_oldest(queue: Queue) -> None:
    """Clause Q8."""
    for number in range(4):
        await queue.add(f"j{number}", at=NOW + number * SECOND)
    await queue.add("o1", queue="other")
    one, two = await queue.claim(2, now=NOW + 9 * SECOND)
    await queue.kill(one)
    assert await queue.store.counts() == {
        "mail": {JobState.AVAILABLE: 2, JobState.RUNNING: 1, JobState.DEAD: 1},
        "other": {JobState.AVAILABLE: 1},
    }
    await queue.fail(two)
    assert await queue.store.oldest(["mail", "nothing", "other"]) == {
        "mail": NOW + SECOND,
        "other": NOW,
    }
    assert await queue.store.oldest([]) == {}


async def test_pruning_takes_what_is_over_and_old_a_step_at_a_time(queue: Queue) -> None:
    """Clause Q12."""
    for number in range(6):
        await queue.add(f"j{number}")
    jobs = await queue.claim()
    for number, job in enumerate(jobs[:4]):
        await queue.end(job, NOW + number * SECOND)
    await queue.kill(jobs[4])
    before = NOW + 3 * SECOND
    assert await queue.store.prune_jobs(before, 2) == 2
    assert await queue.store.prune_jobs(before, 2) == 1
    assert await queue.store.prune_jobs(before, 2) == 0
    left = [f"j{n}" for n in range(6) if await queue.store.get("m", f"j{n}") is not None]
    assert left == ["j3", "j4", "j5"]


async def test_dead_letters_are_given_up_when_they_are_old_and_no_others(queue: Queue) -> None:
    """Clause Q12."""
    for number in range(4):
        await queue.add(f"j{number}")
    jobs = await queue.claim()
    for job in jobs[:3]:
        await queue.kill(job)
    await queue.end(jobs[3], NOW)
    assert await queue.store.prune_dead(NOW - SECOND, 9) == 0
    assert await queue.store.prune_dead(NOW + 60 * SECOND, 2) == 2
    assert await queue.store.prune_dead(NOW + 60 * SECOND, 2) == 1
    left = [f"j{n}" for n in range(4) if await queue.store.get("m", f"j{n}") is not None]
    assert left == ["j3"]


async def test_a_slot_has_one_run_and_the_last_is_never_pruned(queue: Queue) -> None:
    """Clauses Q11 and Q12."""

    async def run(schedule: str, slot: str, at: datetime) -> None:
        row = (PLATFORM, schedule, slot, at, None, at)
        await queue.database.append([(Write(INSERT_RUN, row),)])

    assert await queue.store.last_slot(PLATFORM, "daily") is None
    for day in (3, 1, 2):
        await run("daily", f"2026-03-0{day}", NOW + day * SECOND)
    await run("rare", "2026-01-01", NOW)
    with pytest.raises(ConstraintViolation):
        await run("daily", "2026-03-02", NOW)
    assert await queue.store.last_slot(PLATFORM, "daily") == "2026-03-03"
    assert await queue.store.prune_runs(NOW + 10 * SECOND, 1) == 1
    assert await queue.store.prune_runs(NOW + 10 * SECOND, 9) == 1
    assert await queue.store.prune_runs(NOW + 10 * SECOND, 9) == 0
    assert await queue.store.last_slot(PLATFORM, "daily") == "2026-03-03"
    assert await queue.store.last_slot(PLATFORM, "rare") == "2026-01-01"


async def test_state_and_times_of_a_job_cannot_contradict_each_other(queue: Queue) -> None:
    """Clause Q2."""
    await queue.add("j1")
    for change in (
        "state = 'running'",
        "state = 'dead'",
        "state = 'lost'",
        "leased_until = created_at",
        "attempt = -1",
    ):
        with pytest.raises(ConstraintViolation):
            await queue.database.execute(f"UPDATE jobs SET {change} WHERE merchant_id = $1", "m")
