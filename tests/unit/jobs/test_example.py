"""The example of the documentation does what it says."""

import re
import sys
import types
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime.jobs import JOBS, Enqueue, Enqueued, JobState
from runtime.ports import seeded_ports
from runtime.storage import DatabaseHandle
from tests.unit.jobs.world import job_world

PAGE = Path(__file__).parents[3] / "docs" / "jobs.md"
HALF_PAST_NINE = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The page's first block of code as a module."""
    block = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert block is not None
    module = types.ModuleType("postcards")
    monkeypatch.setitem(sys.modules, "postcards", module)
    exec(block[1], module.__dict__)
    return module


async def test_the_example_sends_postpones_gives_up_and_sweeps(
    example: Any, autojump_clock: MockClock
) -> None:
    replies = {
        "p1": [example.Reply(200, "no-1")],
        "p2": [example.Reply(429, "", 20.0), example.Reply(200, "no-2")],
        "p3": [example.Reply(422, "no such street")],
        "p4": [example.Reply(200, "no-4")],
    }
    keys: list[str] = []

    class Printer:
        async def send(self, postcard_id: str, idempotency_key: str) -> Any:
            keys.append(idempotency_key)
            return replies[postcard_id].pop(0)

    handle = DatabaseHandle()
    spec = example.postcard_jobs(handle, Printer())
    world_of = job_world(
        *spec.queues,
        handle=handle,
        handlers=spec.handlers,
        schedules=spec.schedules,
        ports=seeded_ports(1, HALF_PAST_NINE - timedelta(seconds=60)),
    )
    async with world_of as world:
        await handle.execute(
            "CREATE TABLE postcards (merchant_id TEXT NOT NULL, postcard_id TEXT NOT NULL,"
            " sent_as TEXT, PRIMARY KEY (merchant_id, postcard_id))"
        )
        for postcard_id in replies:
            await handle.execute("INSERT INTO postcards VALUES ($1, $2, NULL)", "m", postcard_id)
        jobs = []
        for postcard_id in ("p1", "p2", "p3"):
            answer = await world.system.ref(JOBS).ask(Enqueue(example.send_job("m", postcard_id)))
            assert isinstance(answer, Enqueued)
            jobs.append(await world.ends(answer.job_id))
        assert [(job.state, job.attempt) for job in jobs] == [
            (JobState.SUCCEEDED, 1),
            (JobState.SUCCEEDED, 1),
            (JobState.DEAD, 1),
        ]
        assert keys == [jobs[0].job_id, jobs[1].job_id, jobs[1].job_id, jobs[2].job_id]
        replies["p3"].append(example.Reply(200, "no-3"))
        await trio.sleep(60)
        rows = await handle.fetch("SELECT sent_as FROM postcards ORDER BY postcard_id")
        assert [row[0] for row in rows] == ["no-1", "no-2", "no-3", "no-4"]
