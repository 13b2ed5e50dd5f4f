"""Durable jobs: each has its effect once, and those of a line run one after another."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random
from typing import ClassVar

import attrs
import trio

from runtime import ActorSystem
from runtime.jobs import (
    JOBS,
    Delays,
    Enqueue,
    Enqueued,
    Job,
    JobsSpec,
    JobState,
    NewJob,
    QueuePolicy,
)
from runtime.sim import Findings, Operation, Run, Trouble, World
from runtime.storage import AcrossMerchants, Entry, Statement, Write
from supervisors.simulation.parts import MERCHANT, ApplicationScenario, Part

QUEUE = QueuePolicy(
    name="simulated",
    concurrency=4,
    attempts_max=4,
    attempt_timeout_s=15.0,
    delays=Delays(initial_s=0.5, max_s=4.0),
)
HANDLER = "simulated.send"
LINES = ("north", "south", "")
"""Keys; the last one stands for none."""

CREATE_EFFECTS = (
    "CREATE TABLE simulated_effects (merchant_id TEXT NOT NULL, job_id TEXT NOT NULL,"
    " times BIGINT NOT NULL, PRIMARY KEY (merchant_id, job_id))"
)
COUNT_EFFECT = Statement(
    "simulated.count_effect",
    "INSERT INTO simulated_effects (merchant_id, job_id, times) VALUES ($1, $2, 1)"
    " ON CONFLICT (merchant_id, job_id) DO UPDATE SET times = simulated_effects.times + 1",
    50,
)
"""No constraint stands in the way of a second time."""

SELECT_EFFECTS = "SELECT job_id, times FROM simulated_effects WHERE merchant_id = $1"
SELECT_JOBS = "SELECT job_id, unique_key, state FROM jobs WHERE merchant_id = $1 AND queue = $2"
COUNT_LIVE = AcrossMerchants(
    "SELECT count(*) FROM jobs WHERE state NOT IN ('succeeded', 'cancelled') AND run_at < $1"
)
SOON = timedelta(minutes=5)
"""What is to run later than that belongs to another day of the simulated world."""


@attrs.frozen(kw_only=True)
class EnqueueJob(Operation):
    """A job that takes `lasts_s` and whose first attempts fail."""

    line: str
    failures: int
    lasts_s: float

    def __str__(self) -> str:
        fails = f", fails {self.failures} times" if self.failures else ""
        return f"enqueue a job of {self.line or 'no line'}, takes {self.lasts_s:g} s{fails}"


class Sender:
    """Runs the jobs of one process: sends something to the provider and writes that it did."""

    def __init__(self, world: World, running: Counter[str]) -> None:
        self._world = world
        self._running = running

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        async with self._alone(job.key, self._world.findings):
            await trio.sleep(job.payload["lasts_s"])
            if len(job.errors) < job.payload["failures"]:
                raise RuntimeError("fails on purpose (simulated)")
            await self._world.provider.send(job.job_id, job.payload)
        return (Write(COUNT_EFFECT, (job.merchant_id, job.job_id)),)

    @asynccontextmanager
    async def _alone(self, line: str | None, findings: Findings) -> AsyncIterator[None]:
        if line is None:
            yield
            return
        self._running[line] += 1
        try:
            if self._running["takeovers"] == 0:
                number = self._running[line]
                findings.check(number == 1, "one of a line at a time", f"{line}: {number} run")
            yield
        finally:
            self._running[line] -= 1


class Jobs(Part):
    """Clients that enqueue, under a key of their own, until they know."""

    operations: ClassVar[tuple[type[Operation], ...]] = (EnqueueJob,)
    tables: ClassVar[tuple[str, ...]] = (CREATE_EFFECTS,)
    puts_back_jobs = True

    def __init__(self) -> None:
        self.enqueued: dict[str, str] = {}
        self._running: Counter[str] = Counter()
        self._asked = 0

    def jobs(self, world: World) -> JobsSpec:
        return JobsSpec(queues=(QUEUE,), handlers={HANDLER: Sender(world, self._running)})

    async def prepare(self, run: Run) -> None:
        takeovers = [event for event in run.plan.events if event.trouble is Trouble.TAKEOVER]
        self._running["takeovers"] = len(takeovers)

    def draw(self, random: Random) -> Operation:
        return EnqueueJob(
            line=random.choice(LINES),
            failures=random.choice((0, 0, 0, 1, 5)),
            lasts_s=random.choice((0.0, 0.01, 0.3, 2.0)),
        )

    async def perform(self, run: Run, operation: Operation) -> None:
        if not isinstance(operation, EnqueueJob):
            raise TypeError(operation)
        self._asked += 1
        unique_key = f"unique-{self._asked}"
        job = NewJob(
            queue=QUEUE.name,
            name=HANDLER,
            payload={"lasts_s": operation.lasts_s, "failures": operation.failures},
            merchant_id=MERCHANT,
            key=operation.line or None,
            unique_key=unique_key,
        )
        answer = await run.until_answered(
            lambda system: system.ref(JOBS).ask(Enqueue(job)),
            lambda answer: isinstance(answer, Enqueued),
        )
        if isinstance(answer, Enqueued):
            self.enqueued[unique_key] = answer.job_id

    async def at_rest(self, run: Run) -> bool:
        soon = run.world.clock.now() + SOON
        live: int = await run.world.store.real.fetch_value(COUNT_LIVE, soon)
        return live == 0

    async def check(self, run: Run) -> None:
        store, findings = run.world.store.real, run.findings
        rows = await store.fetch(SELECT_JOBS, MERCHANT, QUEUE.name)
        effects = {row[0]: row[1] for row in await store.fetch(SELECT_EFFECTS, MERCHANT)}
        for job_id, _, state in rows:
            if state == JobState.SUCCEEDED.value:
                times = effects.get(job_id, 0)
                detail = f"{job_id} took effect {times} times"
                findings.check(times >= 1, "nothing is lost", detail)
                findings.check(times <= 1, "no double effect", detail)
                sent = job_id in run.world.provider.done
                findings.check(sent, "nothing is lost", f"{job_id} was not sent")
        there = {row["job_id"] for row in rows}
        for unique_key, job_id in self.enqueued.items():
            findings.check(job_id in there, "nothing is lost", f"{unique_key}: no {job_id}")


class JobsScenario(ApplicationScenario):
    """The job queue alone."""

    name = "jobs"
    parts = (Jobs,)
    operations = 25
