"""A machine whose clock disagrees with that of the database."""

from datetime import datetime, timedelta

import attrs
import pytest
import trio

from runtime import host
from runtime.jobs import JOBS, Enqueue, Enqueued, GetJob, JobState, NewJob
from runtime.jobs.model import PLATFORM
from runtime.jobs.pruning import PRUNE
from runtime.jobs.schedules import SCHEDULED
from runtime.ports import Ports, SystemClock, system_ports
from tests.servers import PostgresServer
from tests.trees import running_tree

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

LOOK_S = 0.05
LOOKS_MAX = 2_400


@attrs.frozen
class Disagreeing:
    """The machine's clock, and so much more."""

    ahead: timedelta

    def now(self) -> datetime:
        return SystemClock().now() + self.ahead


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_job_starts_at_once_although_the_clocks_disagree(
    hours: int, postgres: PostgresServer
) -> None:
    """Clause Q10."""
    true = system_ports()
    ports = Ports(Disagreeing(timedelta(hours=hours)), true.ids, true.random)
    async with running_tree(postgres.new_database(), ports) as tree:
        desk = tree.system.ref(JOBS)
        enqueued = await desk.ask(Enqueue(NewJob(queue=SCHEDULED.name, name=PRUNE)))
        assert isinstance(enqueued, Enqueued)
        for _ in range(LOOKS_MAX):
            job = await desk.ask(GetJob(PLATFORM, enqueued.job_id))
            assert job is not None
            if job.state is JobState.SUCCEEDED:
                return
            await trio.sleep(LOOK_S)
        raise AssertionError(f"{job} does not start")
