"""A platform with job queues on a database in memory, in virtual time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import attrs
import trio

from runtime import INFINITE, ActorSystem, ChildSpec, RestartChild, TerminateChild
from runtime.cache import CacheHandle
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
from runtime.jobs.store import JobStore
from runtime.ownership import MAIN, Ownership
from runtime.ports import Ports, seeded_ports
from runtime.storage import DatabaseHandle, Entry, Statement, Write
from supervisors.application import MIGRATIONS
from supervisors.cache import cache_child
from supervisors.platform import DatabaseSpec, platform
from tests.stores import open_migrated

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MEMORY = "sqlite:///:memory:"
PLATFORM_NAME = "test.platform"
LOOKS_MAX = 2_000
LOOK_S = 0.5

MAIL = QueuePolicy(
    name="mail",
    concurrency=4,
    depth_max=10,
    attempts_max=5,
    attempt_timeout_s=60.0,
    delays=Delays(initial_s=1.0, max_s=4.0),
)

CREATE_EFFECTS = (
    "CREATE TABLE effects (merchant_id TEXT NOT NULL, number BIGINT NOT NULL CHECK (number >= 0),"
    " PRIMARY KEY (merchant_id, number))"
)
INSERT_EFFECT = Statement(
    "effects.insert", "INSERT INTO effects (merchant_id, number) VALUES ($1, $2)", 10
)


def effect(number: int, merchant_id: str = "m") -> Write:
    return Write(INSERT_EFFECT, (merchant_id, number))


@attrs.define
class Worker:
    """A handler whose jobs the test describes in their payloads.

    `{"effect": n}` writes a row, `{"sleep": s}` takes time, `{"errors": n}` fails as often;
    anything else it does is in `behaviour`.
    """

    begun: list[str] = attrs.field(factory=list)
    ended: list[str] = attrs.field(factory=list)
    most: int = 0
    running: int = 0
    behaviour: Any = None

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        payload: Any = job.payload
        self.begun.append(payload.get("name", job.job_id))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self.behaviour is not None:
                return tuple(await self.behaviour(job, system) or ())
            await trio.sleep(payload.get("sleep", 0))
            if len(job.errors) < payload.get("errors", 0):
                raise RuntimeError("boom")
            self.ended.append(payload.get("name", job.job_id))
            return (effect(payload["effect"]),) if "effect" in payload else ()
        finally:
            self.running -= 1


@attrs.define
class World:
    system: ActorSystem
    database: DatabaseHandle
    worker: Worker

    @property
    def store(self) -> JobStore:
        return JobStore(self.database)

    async def enqueue(self, merchant_id: str = "m", **fields: Any) -> str:
        """A job of the queue `mail`; keywords that `NewJob` has not are its payload."""
        known = {field.name for field in attrs.fields(NewJob)}
        job = {name: fields.pop(name) for name in tuple(fields) if name in known}
        new = NewJob(
            **({"queue": "mail", "name": "send", "merchant_id": merchant_id} | job),
            payload=fields,
        )
        answer = await self.system.ref(JOBS).ask(Enqueue(new))
        assert isinstance(answer, Enqueued), answer
        return answer.job_id

    async def job(self, job_id: str, merchant_id: str = "m") -> Job:
        job = await self.store.get(merchant_id, job_id)
        assert job is not None
        return job

    async def state(self, job_id: str) -> JobState:
        return (await self.job(job_id)).state

    async def effects(self) -> list[int]:
        rows = await self.database.fetch("SELECT number FROM effects ORDER BY number")
        return [row[0] for row in rows]

    async def ends(self, job_id: str) -> Job:
        """The job once nothing more happens to it."""
        for _ in range(LOOKS_MAX):
            job = await self.job(job_id)
            if job.finished_at is not None:
                return job
            await trio.sleep(LOOK_S)
        raise AssertionError(f"{job} does not end")

    async def stop(self, child: str) -> None:
        await self.system.ref(PLATFORM_NAME).ask(TerminateChild(child), timeout_s=60)

    async def restart(self, child: str) -> None:
        await self.system.ref(PLATFORM_NAME).ask(RestartChild(child), timeout_s=60)

    def sample(self, name: str, **labels: str) -> float | None:
        return self.system.metrics.registry.get_sample_value(f"loyalnest_{name}", labels)


@asynccontextmanager
async def job_world(
    *policies: QueuePolicy,
    handle: DatabaseHandle | None = None,
    ports: Ports | None = None,
    url: str = MEMORY,
    partition: str = MAIN,
    **spec: Any,
) -> AsyncIterator[World]:
    """The queue `mail`, unless others are given, with one handler, `send`."""
    worker = Worker()
    handle = handle if handle is not None else DatabaseHandle()
    handlers = {"send": worker, **spec.pop("handlers", {})}
    jobs = JobsSpec(queues=policies or (MAIL,), handlers=handlers, **spec)
    root = ChildSpec(
        "platform",
        lambda: platform(
            DatabaseSpec(url, opener=open_migrated),
            handle,
            MIGRATIONS,
            {},
            Ownership(partition),
            cache_child(None, CacheHandle()),
            jobs,
        ),
        shutdown_s=INFINITE,
        name=PLATFORM_NAME,
    )
    system = ActorSystem(ports if ports is not None else seeded_ports(1, START))
    async with system.run(root):
        await handle.execute(CREATE_EFFECTS)
        yield World(system, handle, worker)
