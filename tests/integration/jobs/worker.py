"""A process that runs jobs of one queue, one at a time, and says what it does on stdout.

`python -m tests.integration.jobs.worker DATABASE_URL NAME`
"""

import signal
import sys
from typing import Any

import pytest
import structlog
import trio

from runtime import INFINITE, ActorSystem, ChildSpec, host
from runtime.cache import CacheHandle
from runtime.jobs import Delays, Job, JobsSpec, Leases, QueuePolicy
from runtime.ownership import Ownership
from runtime.ports import system_ports
from runtime.storage import DatabaseHandle, Entry, Statement, Write
from supervisors.application import MIGRATIONS
from supervisors.cache import cache_child
from supervisors.platform import DatabaseSpec, platform
from tests.servers import unhurried_postgres
from tests.stores import patient_pipeline

CONNECTIONS = 6
GO = trio.Path("go")
LOOK_S = 0.05
QUEUE = QueuePolicy(
    name="work", concurrency=1, delays=Delays(initial_s=0.05, max_s=0.1), attempts_max=5
)
LEASES = Leases(lease_s=6.0, heartbeat_s=0.5)

INSERT_EFFECT = Statement(
    "test.effect",
    "INSERT INTO effects (merchant_id, job_id, worker, lease) VALUES ($1, $2, $3, $4)",
    1,
)


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


class Work:
    """Takes the time that the payload says. One that is `stubborn` waits at its first attempt until
    there is the file `GO`, whatever becomes of its lease meanwhile."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        payload = job.payload
        assert isinstance(payload, dict)
        say("begin", job.job_id, job.attempt)
        with trio.CancelScope(shield=payload["stubborn"]):
            await self._work(payload, job.attempt)
        say("end", job.job_id, job.attempt)
        return (Write(INSERT_EFFECT, (job.merchant_id, job.job_id, self._name, job.lease)),)

    @staticmethod
    async def _work(payload: dict[str, Any], attempt: int) -> None:
        if attempt == 1:
            await trio.sleep(payload["first_s"])
            while payload["stubborn"] and not await GO.exists():  # noqa: ASYNC110 - a file
                await trio.sleep(LOOK_S)


async def main(url: str, name: str) -> None:
    unhurried_postgres(pytest.MonkeyPatch())
    handle = DatabaseHandle(patient_pipeline())
    jobs = JobsSpec(queues=(QUEUE,), handlers={"work": Work(name)}, leases=LEASES)
    root = ChildSpec(
        "platform",
        lambda: platform(
            DatabaseSpec(url, CONNECTIONS),
            handle,
            MIGRATIONS,
            {},
            Ownership(name),
            cache_child(None, CacheHandle()),
            jobs,
        ),
        shutdown_s=INFINITE,
    )
    async with ActorSystem(system_ports()).run(root):
        say("ready")
        with trio.open_signal_receiver(signal.SIGTERM) as signals:
            async for _ in signals:
                break
    say("stopped")


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    host.run(main, sys.argv[1], sys.argv[2])
