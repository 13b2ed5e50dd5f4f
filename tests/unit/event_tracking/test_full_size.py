"""Ten minutes without the database at a thousand events a second: all of them are kept."""

from collections.abc import Iterator

import pytest
import trio
from structlog.testing import capture_logs

from actors.event_tracking.messages import Accepted
from actors.event_tracking.stock import RING_BYTES_MAX
from config.loading import load_settings
from tests.unit.event_tracking.world import Machine, sent
from tests.virtual import run_virtually

pytestmark = [pytest.mark.long, pytest.mark.trio(run=run_virtually)]

SECONDS = 600
A_SECOND = 1_000
IN_BATCH = 500
EVENTS = SECONDS * A_SECOND


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    with capture_logs():
        yield


async def test_ten_minutes_without_the_database_lose_nothing() -> None:
    """With the room that the program has where nobody says otherwise."""
    room = load_settings({}, {}).event_spill_max_bytes
    async with Machine().process(spill_bytes_max=room, ring_bytes_max=RING_BYTES_MAX) as world:
        await world.totals()
        world.database.away = True
        for first in range(0, EVENTS, IN_BATCH):
            taken = await world.track(sent(range(first, first + IN_BATCH)))
            assert taken == Accepted(IN_BATCH)
            await trio.sleep(IN_BATCH / A_SECOND)
        told = await world.totals()
        assert (told.accepted, told.buffered, told.dropped) == (EVENTS, EVENTS, 0)
        world.database.away = False
        told = await world.settled()
        assert (told.stored, told.deduplicated, told.dropped) == (EVENTS, 0, 0)
        rows = await world.really("SELECT count(*) FROM tracked_events")
        assert rows[0][0] == EVENTS
        assert not world.disk.records
