"""Events of customers who are erased, or merged into others; and events that are old.

Clause T6.
"""

from datetime import timedelta

import pytest
import trio
from trio.testing import MockClock

from actors.core.messages import CUSTOMER_ERASED, CUSTOMERS_MERGED
from actors.event_tracking.retention import EVERY_S
from tests.unit.event_tracking.world import START, Machine, World, sent
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

SELECT_ALL = "SELECT message_id, customer_id, properties FROM tracked_events ORDER BY message_id"


def pass_by(time: timedelta) -> None:
    """At once: days in which each look is taken are tens of thousands of looks."""
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, MockClock)
    clock.jump(time.total_seconds())


async def kept(world: World) -> list[tuple[str, str | None, str]]:
    return [tuple(row) for row in await world.really(SELECT_ALL)]


async def test_an_erased_customer_is_forgotten_in_what_is_stored_waits_and_comes_later() -> None:
    async with Machine().process() as world:
        about = {"customer_id": "ann", "properties": {"sku": "ROSES-12"}}
        await world.track(sent(range(1_200), **about))
        await world.track(sent(range(5_000, 5_001), customer_id="bob"))
        await world.settled()
        world.database.slow_s = 0.3
        await world.track(sent(range(2_000, 2_010), **about))
        await trio.sleep(0.3)
        await world.deliver(CUSTOMER_ERASED, customer_id="ann")
        world.database.slow_s = 0.0
        await world.track(sent(range(3_000, 3_010), **about))
        await world.settled()
        await trio.sleep(10.0)
        found = await kept(world)
        assert len(found) == 1_221
        assert {(customer, properties) for _, customer, properties in found} == {
            (None, "{}"),
            ("bob", "{}"),
        }
        await world.track(sent(range(3_000, 3_010), **about))
        told = await world.settled()
        assert (told.deduplicated, told.conflicts) == (10, 0)


async def test_events_of_a_merged_customer_belong_to_the_other_also_through_a_second_merger() -> (
    None
):
    async with Machine().process() as world:
        await world.track(sent(range(10), customer_id="ann", properties={"a": 1}))
        await world.settled()
        await world.deliver(CUSTOMERS_MERGED, customer_id="ann", into="bob")
        await world.track(sent(range(10, 20), customer_id="ann", properties={"a": 1}))
        await world.settled()
        await trio.sleep(5.0)
        assert len(await world.stored(customer_id="bob")) == 20
        await world.deliver(CUSTOMERS_MERGED, customer_id="bob", into="cyd")
        await world.track(sent(range(20, 30), customer_id="ann", properties={"a": 1}))
        await world.settled()
        await trio.sleep(5.0)
        assert len(await world.stored(customer_id="cyd")) == 30
        assert {properties for _, _, properties in await kept(world)} == {'{"a":1}'}


async def test_an_erasure_that_finds_the_database_away_happens_when_it_is_back() -> None:
    async with Machine().process() as world:
        await world.track(sent(range(700), customer_id="ann", properties={"a": 1}))
        await world.settled()
        await world.deliver(CUSTOMER_ERASED, customer_id="ann")
        world.database.away = True
        await trio.sleep(120.0)
        world.database.away = False
        await trio.sleep(120.0)
        assert {customer for _, customer, _ in await kept(world)} == {None}


async def test_old_events_are_deleted_and_those_received_lately_stay_whenever_they_occurred() -> (
    None
):
    async with Machine().process() as world:
        await world.track(sent(range(1_100), occurred_at=START - timedelta(days=3)))
        await world.settled()
        pass_by(timedelta(days=5))
        await world.track(sent(range(2_000, 2_010), occurred_at=START - timedelta(days=3)))
        await world.settled()
        pass_by(timedelta(days=2))
        await trio.sleep(EVERY_S)
        assert len(await kept(world)) == 10
        told = await world.totals()
        assert (told.accepted, told.stored) == (1_110, 1_110)
