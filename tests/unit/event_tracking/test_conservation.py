"""Accepted = stored + deduplicated + dropped + buffered, whatever happens to disk and database.

Clauses T1, T3, T4 and T5.
"""

from collections.abc import Iterator

import pytest
import trio
from structlog.testing import capture_logs

from actors.event_tracking.draining import VIOLATIONS_MAX
from actors.event_tracking.messages import Accepted
from tests.unit.event_tracking.world import Machine, World, sent
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

SELECT_IDS = "SELECT message_id FROM tracked_events"
COUNT_ROWS = "SELECT count(*) FROM tracked_events"


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    with capture_logs():
        yield


async def rows(world: World) -> int:
    count: int = (await world.really(COUNT_ROWS))[0][0]
    return count


async def test_events_wait_on_the_disk_while_the_database_is_away_and_nobody_notices() -> None:
    async with Machine().process() as world:
        await world.totals()
        world.database.away = True
        for second in range(60):
            assert await world.track(sent(range(second * 10, second * 10 + 10))) == Accepted(10)
            await trio.sleep(1.0)
        told = await world.totals()
        assert (told.accepted, told.buffered, told.dropped) == (600, 600, 0)
        assert len(world.disk.records) >= 60
        assert not len(world.stock.ring)
        world.database.away = False
        told = await world.settled()
        assert (told.stored, told.deduplicated) == (600, 0)
        assert await rows(world) == 600
        assert not world.disk.records
        assert sum(each.events for each in await world.counts()) == 600


async def test_taking_an_event_waits_for_nothing_while_the_database_takes_ten_seconds() -> None:
    async with Machine().process() as world:
        world.database.slow_s = 10.0
        for number in range(100):
            began = trio.current_time()
            await world.track(sent(range(number, number + 1)))
            assert trio.current_time() == began
            await trio.sleep(0.5)
        world.database.slow_s = 0.0
        assert (await world.settled()).stored == 100


async def test_the_same_spill_file_replayed_three_times_adds_no_row_and_counts_nothing() -> None:
    machine = Machine()
    async with machine.process() as world:
        machine.database.away = True
        await world.track(sent(range(50)))
        await trio.sleep(1.0)
    records = list(machine.disk.records)
    assert records
    for _ in range(3):
        machine.disk.records, machine.disk.acknowledged = list(records), 0
        machine.database.away = False
        async with machine.process() as world:
            told = await world.settled()
            assert (told.accepted, told.stored, told.deduplicated) == (50, 50, 0)
            assert await rows(world) == 50


async def test_clients_that_send_a_batch_three_times_store_it_once() -> None:
    async with Machine().process() as world:
        for _ in range(3):
            await world.track(sent(range(20)))
        await world.track(sent(range(5), properties={"other": True}))
        await world.track(sent(range(20)), merchant_id="other")
        told = await world.settled()
        counts = (told.accepted, told.stored, told.deduplicated, told.conflicts)
        assert counts == (65, 20, 45, 5)
        assert all(each.properties == "{}" for each in await world.stored())
        assert (await world.settled("other")).stored == 20


@pytest.mark.parametrize("happened", [True, False])
async def test_a_commit_in_doubt_is_looked_into_and_counts_once(happened: bool) -> None:
    async with Machine().process() as world:
        world.database.unknown = [happened] * 3
        for start in range(0, 100, 10):
            await world.track(sent(range(start, start + 10)))
            await trio.sleep(0.5)
        told = await world.settled()
        assert (told.accepted, told.stored, told.deduplicated) == (100, 100, 0)


async def test_what_a_full_disk_has_no_room_for_is_dropped_the_least_important_first() -> None:
    async with Machine().process(spill_bytes_max=20_000, ring_bytes_max=20_000) as world:
        await world.totals()
        world.database.away = True
        for round_ in range(40):
            for number, importance in enumerate(("low", "normal", "high")):
                first = (round_ * 3 + number) * 5
                await world.track(sent(range(first, first + 5), importance=importance))
            await world.totals()
            await trio.sleep(1.0)
        told = await world.totals()
        assert told.accepted == 600
        assert told.dropped > 0
        assert set(told.reasons) == {"disk_full"}
        world.database.away = False
        told = await world.settled()
        assert told.stored + told.dropped == 600
        kept = {
            importance: sum(
                (int(row["message_id"].partition("-")[2]) // 5) % 3 == number
                for row in await world.really(SELECT_IDS)
            )
            for number, importance in enumerate(("low", "normal", "high"))
        }
        assert kept["high"] > kept["normal"] > kept["low"], kept


async def test_events_go_past_a_disk_that_fails_while_the_database_answers() -> None:
    async with Machine().process() as world:
        world.disk.broken = True
        for start in range(0, 200, 10):
            await world.track(sent(range(start, start + 10)))
            await trio.sleep(0.3)
        told = await world.settled()
        assert (told.stored, told.dropped, told.deduplicated) == (200, 0, 0)
        world.disk.broken = False
        await trio.sleep(2.0)
        await world.track(sent(range(200, 210)))
        await trio.sleep(0.1)
        assert world.disk.next_sequence > 1
        assert (await world.settled()).stored == 210


async def test_with_neither_disk_nor_database_memory_fills_and_the_rest_is_counted() -> None:
    async with Machine().process(ring_bytes_max=10_000) as world:
        await world.totals()
        world.disk.broken = world.database.away = True
        dropped = 0
        for start in range(0, 500, 10):
            dropped += (await world.track(sent(range(start, start + 10)))).dropped
            await trio.sleep(0.1)
        told = await world.totals()
        assert told.reasons == {"disk_failed": dropped}
        assert 0 < dropped < 500
        world.disk.broken = world.database.away = False
        told = await world.settled()
        assert (told.accepted, told.stored, told.dropped) == (500, 500 - dropped, dropped)


async def test_a_killed_writer_loses_nothing_that_was_taken() -> None:
    async with Machine().process() as world:
        for start in range(0, 200, 10):
            await world.track(sent(range(start, start + 10)))
            if start % 50 == 0:
                await world.kill_spiller()
                await world.totals()
        assert (await world.settled()).stored == 200
        assert await rows(world) == 200


async def test_an_orderly_stop_leaves_all_on_the_disk_for_the_next_process() -> None:
    machine = Machine()
    async with machine.process() as world:
        machine.database.away = True
        await world.track(sent(range(30)))
    machine.database.away = False
    async with machine.process() as world:
        told = await world.settled()
        assert (told.accepted, told.stored) == (30, 30)


async def test_a_record_that_the_database_refuses_again_and_again_lets_the_others_pass() -> None:
    machine = Machine()
    async with machine.process() as world:
        forbidden = (
            "CREATE TRIGGER forbidden BEFORE INSERT ON tracked_events"
            " WHEN NEW.type = 'forbidden' BEGIN SELECT RAISE(ABORT, 'forbidden'); END"
        )
        await world.really(forbidden)
        machine.database.away = True
        await world.track(sent(range(5)))
        await trio.sleep(1.0)
        await world.track(sent(range(5, 8), type="forbidden"))
        await trio.sleep(1.0)
        await world.track(sent(range(8, 20)))
        machine.database.away = False
        await trio.sleep(10.0 * VIOLATIONS_MAX)
        told = await world.settled()
        assert (told.stored, told.dropped, told.reasons) == (17, 3, {"refused": 3})


async def test_totals_are_told_from_memory_while_the_database_is_away() -> None:
    async with Machine().process() as world:
        await world.track(sent(range(10)))
        await world.settled()
        world.database.away = True
        await world.track(sent(range(10, 15)))
        told = await world.totals()
        assert (told.accepted, told.stored, told.buffered) == (15, 10, 5)
