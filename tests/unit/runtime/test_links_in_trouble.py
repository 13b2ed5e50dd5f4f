"""Links in virtual time: what must not cost more than one message, or one link."""

from datetime import datetime
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from runtime import (
    ActorDown,
    Outcome,
)
from runtime.links import LinkDown, LinkLimits, LinkLost, NotSendable
from runtime.links.frames import BATCH_BYTES, joined
from tests.shards import (
    Echo,
    Fail,
    Hold,
    Note,
    Sad,
)
from tests.unit.runtime.test_links import Asks, linked, outcome_of
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)


async def test_an_ask_with_more_time_than_a_link_tells_is_answered() -> None:
    async with linked() as (_one, two, _):
        assert await two.ref("one.clerk").ask(Echo(1), timeout_s=1e6) == 1
        assert two.links.statistics()[0].sessions == 1


async def test_the_longest_message_of_all_is_short_enough_for_the_other_side() -> None:
    small = LinkLimits(frame_bytes_max=2048)
    async with linked(limits=small) as (one, two, _):
        session = one.links.peer("two").session
        assert session is not None
        assert two.ref("one.clerk").tell(Note(1))
        await wait_all_tasks_blocked()
        session.put(bytes(BATCH_BYTES - 1))
        session.put(bytes(small.frame_bytes_max))
        assert len(joined(session._take())) <= two.links.message_bytes_max


@pytest.mark.parametrize("value", ["\ud800", 2**70, datetime(2026, 1, 2)])  # noqa: DTZ001
async def test_what_cannot_be_encoded_costs_its_message_only(value: object) -> None:
    async with linked() as (_one, two, _):
        with pytest.raises(NotSendable):
            await two.ref("one.clerk").ask(Echo(value))
        assert two.links.statistics()[0].sessions == 1


@pytest.mark.parametrize("value", ["\ud800", 2**70, "x" * 2_000_000])
async def test_an_answer_or_an_error_that_cannot_be_sent_costs_its_message_only(value: Any) -> None:
    async with linked() as (one, two, _):

        async def receive(message: Any) -> object:
            if message == Fail(True):
                raise Sad(value)
            return value

        one.clerk._incarnation.handle_with(receive)
        for message in (Fail(True), Echo(1)):
            error = await outcome_of(partial(two.ref("one.clerk").ask, message))
            assert isinstance(error, ActorDown)
            assert error.outcome is Outcome.UNKNOWN
        assert one.clerk._incarnation.reason is None
        assert two.links.statistics()[0].sessions == 1


async def test_n3_what_waits_behind_a_network_that_takes_nothing_was_never_sent() -> None:
    """Clause N3."""
    patient = LinkLimits(silence_max_s=60.0)
    async with linked(limits=patient) as (_one, two, network), trio.open_nursery() as nursery:
        network.silence("two", "one")
        asks, clerk = Asks(nursery), two.ref("one.clerk")
        for number in range(3):
            asks.start(f"sent {number}", clerk, Echo("x" * 200_000), timeout_s=30)
            await wait_all_tasks_blocked()
        asks.start("behind", clerk, Echo(1), timeout_s=30)
        await trio.sleep(10)
        assert isinstance(asks.outcomes["sent 0"], LinkLost)
        assert isinstance(asks.outcomes["behind"], LinkDown)


async def test_asks_that_were_given_up_wait_for_no_room() -> None:
    limits = LinkLimits(window=4, mailbox=6)
    async with linked(limits=limits) as (one, two, _), trio.open_nursery() as nursery:
        asks = Asks(nursery)
        asks.start("first", one.ref("one.clerk"), Hold("first"), timeout_s=600)
        await wait_all_tasks_blocked()
        for number in range(1024):
            assert one.ref("one.clerk").tell(Note(number))
        for number in range(100):
            asks.start(str(number), two.ref("one.clerk"), Echo(number), timeout_s=0.2)
            await trio.sleep(0.3)
        session = one.links.peer("two").session
        assert session is not None
        waiting = session.incoming._waiting
        assert sum(map(len, waiting.values())) == 0


async def test_who_gives_up_waiting_for_room_holds_up_nobody_else() -> None:
    async with linked() as (one, two, _), trio.open_nursery() as nursery:
        asks, clerk = Asks(nursery), one.ref("one.clerk")
        asks.start("first", clerk, Hold("first"), timeout_s=60)
        await wait_all_tasks_blocked()
        cell = one.clerk._incarnation.cell
        cell.capacity = cell.limit = 1
        asks.start("second", clerk, Echo("second"), timeout_s=60)
        await wait_all_tasks_blocked()
        asks.start("given up", two.ref("one.clerk"), Echo("given up"), timeout_s=1)
        await trio.sleep(0.5)
        asks.start("here", clerk, Echo("here"), timeout_s=60)
        await trio.sleep(1)
        one.clerk.go.set()
        await trio.sleep(1)
        assert asks.outcomes["second"] == "second"
        assert asks.outcomes["here"] == "here"
