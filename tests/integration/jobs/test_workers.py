"""Workers in processes of their own, killed and frozen: every job has its effect once."""

import signal
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path

import attrs
import pytest
import trio

from runtime import host
from runtime.jobs import Job, JobState, NewJob, job_write
from runtime.jobs.store import JobStore
from runtime.storage import AcrossMerchants, migrate
from runtime.storage.postgres import PostgresDatabase
from supervisors.application import MIGRATIONS
from tests.integration.cli.program import Running, started
from tests.integration.jobs.worker import GO, QUEUE
from tests.servers import PostgresServer, unhurried_postgres
from tests.stores import unhurried

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

MERCHANT = "shop"
LOOKS_MAX = 2_400
LOOK_S = 0.05
CREATE_EFFECTS = (
    "CREATE TABLE effects (merchant_id TEXT NOT NULL, job_id TEXT NOT NULL, worker TEXT NOT NULL,"
    " lease BIGINT NOT NULL, PRIMARY KEY (merchant_id, job_id, worker, lease))"
)

number = count(1).__next__


@attrs.frozen
class Queue:
    """The queue that the workers share, as seen from outside."""

    database: PostgresDatabase
    url: str

    async def add(
        self, first_s: float = 0.0, *, key: str | None = None, stubborn: bool = False
    ) -> str:
        """A job that takes so long at its first attempt, and no time later. One that is `stubborn`
        goes on after that when it may."""
        job_id = f"job_{number():04}"
        payload: dict[str, object] = {"first_s": first_s, "stubborn": stubborn}
        new = NewJob(queue=QUEUE.name, name="work", merchant_id=MERCHANT, payload=payload, key=key)
        now = datetime.now(UTC)
        await self.database.append([(job_write(new, job_id=job_id, now=now, trace_id=None),)])
        return job_id

    async def ended(self, job_id: str) -> Job:
        for _ in range(LOOKS_MAX):
            job = await JobStore(self.database).get(MERCHANT, job_id)
            assert job is not None
            if job.finished_at is not None:
                return job
            await trio.sleep(LOOK_S)
        raise AssertionError(f"{job} does not end")

    async def effects(self) -> list[tuple[str, str, int]]:
        """Job, worker and lease of each effect."""
        sql = AcrossMerchants("SELECT job_id, worker, lease FROM effects ORDER BY job_id, lease")
        return [(row[0], row[1], row[2]) for row in await self.database.fetch(sql)]


@pytest.fixture
async def queue(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Queue]:
    unhurried_postgres(monkeypatch)
    url = postgres.migrated_database()
    database = PostgresDatabase(url, 4, role=None)
    await migrate(database, MIGRATIONS, datetime.now(UTC))
    with unhurried():
        await database.execute(CREATE_EFFECTS)
        await database.execute("SELECT loyalnest_protect('effects')")
        yield Queue(database, url)
    await database.close()


def worker(queue: Queue, name: str, folder: Path) -> AbstractContextManager[Running]:
    """A process that does not outlive the block, even when it is frozen."""
    return started(queue.url, name, cwd=folder, module="tests.integration.jobs.worker")


async def line_with(running: Running, text: str) -> str:
    return await trio.to_thread.run_sync(partial(running.line_with, text))


async def test_a_killed_and_a_frozen_worker_cost_attempts_and_no_effects(
    queue: Queue, tmp_path: Path
) -> None:
    """Clauses Q2, Q3 and Q6."""
    with worker(queue, "one", tmp_path) as one, worker(queue, "two", tmp_path) as two:
        for each in (one, two):
            await line_with(each, "ready")
        jobs = [await queue.add(stubborn=True) for _ in range(2)]
        began = {(await line_with(each, "begin")).split()[1] for each in (one, two)}
        assert began == set(jobs)
        one.send(signal.SIGKILL)
        two.send(signal.SIGSTOP)
        with worker(queue, "three", tmp_path):
            ended = [await queue.ended(job_id) for job_id in jobs]
            assert [(job.state, job.attempt) for job in ended] == [(JobState.SUCCEEDED, 2)] * 2
            assert all("the lease ran out" in job.errors[0].error for job in ended)
            assert {worker_name for _, worker_name, _ in await queue.effects()} == {"three"}
        (tmp_path / GO).touch()
        two.send(signal.SIGCONT)
        await line_with(two, "end")
        await trio.to_thread.run_sync(two.logged, "job_lease_lost")
        effects = await queue.effects()
        assert [job_id for job_id, _, _ in effects] == sorted(jobs)
        last = await queue.ended(await queue.add())
        assert last.attempt == 1
        assert (last.job_id, "two", 1) in await queue.effects()


async def test_workers_share_a_queue_and_keep_the_order_of_keys(
    queue: Queue, tmp_path: Path
) -> None:
    """Clause Q4."""
    with worker(queue, "one", tmp_path) as one, worker(queue, "two", tmp_path) as two:
        for each in (one, two):
            await line_with(each, "ready")
        lines = {key: [await queue.add(0.01, key=key) for _ in range(10)] for key in "ab"}
        for job_ids in lines.values():
            ended = [await queue.ended(job_id) for job_id in job_ids]
            moments = [job.finished_at for job in ended if job.finished_at is not None]
            assert moments == sorted(moments)
            assert {job.attempt for job in ended} == {1}
        effects = await queue.effects()
        assert len(effects) == 20


async def test_a_worker_that_is_asked_to_stop_gives_its_job_back(
    queue: Queue, tmp_path: Path
) -> None:
    """Clause Q10."""
    with worker(queue, "one", tmp_path) as one:
        await line_with(one, "ready")
        job_id = await queue.add(60.0)
        await line_with(one, "begin")
        one.send(signal.SIGTERM)
        await line_with(one, "stopped")
    job = await JobStore(queue.database).get(MERCHANT, job_id)
    assert job is not None
    assert (job.state, job.attempt, job.errors) == (JobState.AVAILABLE, 0, ())
    assert await queue.effects() == []


async def test_workers_that_replace_each_other_lose_no_job_and_do_none_twice(
    queue: Queue, tmp_path: Path
) -> None:
    """Clause Q10, as a rolling restart has it: the next one runs before the last one ends."""
    names = [f"worker-{number_of}" for number_of in range(3)]
    with ExitStack() as workers:
        older = workers.enter_context(worker(queue, names[0], tmp_path))
        await line_with(older, "ready")
        jobs = [await queue.add(0.1) for _ in range(10)]
        for name in names[1:]:
            await line_with(older, "end")
            newer = workers.enter_context(worker(queue, name, tmp_path))
            await line_with(newer, "ready")
            jobs += [await queue.add(0.1) for _ in range(10)]
            older.send(signal.SIGTERM)
            await line_with(older, "stopped")
            older = newer
            jobs += [await queue.add(0.1) for _ in range(3)]
        await line_with(older, "end")
        for job_id in jobs:
            assert (await queue.ended(job_id)).state is JobState.SUCCEEDED
    effects = await queue.effects()
    assert [job_id for job_id, _, _ in effects] == jobs
    assert {name for _, name, _ in effects} == set(names)
