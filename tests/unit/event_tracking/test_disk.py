"""The spill file on a real disk that is full, or fails: nothing crashes, all is counted."""

import errno
import os
from pathlib import Path

import pytest
import trio
from structlog.testing import capture_logs

from actors.event_tracking.supervisor import spill_limits
from runtime.spool import FileSpool
from runtime.spool.disk import Disk
from tests.unit.event_tracking.world import Machine, World, sent

POLL_S = 0.02
PATIENCE_S = 60.0


class Ailing(Disk):
    """Writes fail with an error number while it is set, and syncs too."""

    error: int = 0

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        if self.error:
            super().write(descriptor, data[: len(data) // 2], offset)
            raise OSError(self.error, os.strerror(self.error))
        super().write(descriptor, data, offset)

    def sync(self, descriptor: int) -> None:
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        super().sync(descriptor)


async def noticed(world: World, reason: str) -> None:
    with trio.fail_after(PATIENCE_S):
        while world.stock.disk.value != reason:  # noqa: ASYNC110 - a thread writes
            await trio.sleep(POLL_S)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "reason"), [(errno.ENOSPC, "disk_full"), (errno.EIO, "disk_failed")]
)
async def test_a_disk_that_takes_nothing_costs_what_memory_cannot_hold_and_no_more(
    error: int, reason: str, tmp_path: Path
) -> None:
    disk = Ailing()

    async def open_spool() -> FileSpool:
        return await FileSpool.open(tmp_path / "events", spill_limits(1_000_000), disk)

    machine = Machine()
    with capture_logs():
        async with machine.process(ring_bytes_max=20_000, open_spool=open_spool) as world:
            await world.totals()
            world.database.away = True
            await world.track(sent(range(10)))
            while world.stock.in_memory:  # noqa: ASYNC110 - a thread writes
                await trio.sleep(POLL_S)
            disk.error = error
            await world.track(sent(range(10, 11)))
            await noticed(world, reason)
            for start in range(20, 320, 10):
                importance = "high" if start % 20 else "low"
                await world.track(sent(range(start, start + 10), importance=importance))
            told = await world.totals()
            assert told.accepted == 311
            assert told.reasons == {reason: told.dropped}
            assert 0 < told.dropped < 300
            disk.error = 0
            world.database.away = False
            told = await world.settled()
            assert told.stored + told.dropped == 311
            assert told.deduplicated == 0
        async with machine.process(open_spool=open_spool) as world:
            assert await world.settled() == told
