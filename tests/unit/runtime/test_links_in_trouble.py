"""Links in virtual time: what must not cost more than one message, or one link."""

from datetime import datetime
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from runtime import (
    ActorDown,
    Expired,
    Outcome,
)
from runtime.links import LinkDown, LinkLimits, LinkLost, NotSendable, proxies
from runtime.links.frames import BATCH_BYTES, Cancel, encode_frame, joined
from runtime.links.session import QUEUE_SPARE
from tests.shards import (
    Echo,
    Fail,
    Hold,
    Note,
    Sad,
    Unregistered,
)
from tests.unit.runtime.test_links import LIMITS, Asks, linked, outcome_of
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


async def test_n6_a_shard_that_stood_still_itself_does_not_take_that_for_silence() -> None:
    """Clause N6."""
    async with linked() as (one, two, network):
        network.silence("two", "one")
        await trio.sleep(1.5)
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, MockClock)
        clock.jump(30)
        await trio.sleep(0.5)
        network.heal()
        await trio.sleep(10)
        assert (one.links.peer("two").sessions, two.links.peer("one").sessions) == (1, 1)


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


async def test_n3_what_was_given_up_before_it_was_written_is_never_sent() -> None:
    """Clause N3."""
    async with linked() as (one, two, network), trio.open_nursery() as nursery:
        network.silence("two", "one")
        asks, clerk = Asks(nursery), two.ref("one.clerk")
        for number in range(3):
            asks.start(f"sent {number}", clerk, Echo("x" * 200_000))
            await wait_all_tasks_blocked()
        asks.start("given up", clerk, Hold("given up"), timeout_s=0.5)
        await trio.sleep(1)
        assert isinstance(asks.outcomes["given up"], Expired)
        network.heal()
        await trio.sleep(1)
        assert all(isinstance(asks.outcomes[f"sent {number}"], str) for number in range(3))
        assert (one.clerk.holding, one.clerk.cancelled) == ([], [])
        assert two.links.statistics()[0].credit == LIMITS.window


async def test_what_is_refused_takes_no_credit() -> None:
    async with linked() as (_one, two, _):
        for _ in range(3 * LIMITS.window):
            assert isinstance(
                await outcome_of(partial(two.ref("one.clerk").ask, Unregistered())), NotSendable
            )
        assert two.links.statistics()[0].credit == LIMITS.window


async def test_credit_comes_by_itself_where_nothing_else_comes_back() -> None:
    async with linked() as (one, two, _):
        began = trio.current_time()
        for number in range(20 * LIMITS.window):
            await two.ref("one.clerk").send(Note(number))
        while len(one.clerk.notes) < 20 * LIMITS.window:  # noqa: ASYNC110 - virtual
            await trio.sleep(0.01)
        assert trio.current_time() - began < LIMITS.ping_every_s / 2


async def test_a_link_whose_queue_is_longer_than_anybody_needs_ends() -> None:
    async with linked() as (_one, two, _):
        session = two.links.peer("one").session
        assert session is not None
        for number in range(QUEUE_SPARE + 8 * LIMITS.window + 1):
            assert session.open
            session.put(encode_frame(Cancel(number)))
        assert not session.open
        await trio.sleep(2)
        assert await two.ref("one.clerk").ask(Echo(1)) == 1
        assert two.links.statistics()[0].sessions == 2


async def test_entities_that_expire_unsent_leave_the_mailbox_of_their_proxy() -> None:
    async with linked() as (_one, two, _), trio.open_nursery() as nursery:
        asks, region = Asks(nursery), two.system.entities("one.residents")
        for number in range(LIMITS.window):
            asks.start(f"held {number}", two.ref("one.pool"), Hold())
        await trio.sleep(0.1)
        for number in range(4):
            asks.start(str(number), region.ref(str(number)), Echo(number), timeout_s=0.5)
        await trio.sleep(0.1)
        assert region.depth() == 3
        await trio.sleep(1)
        assert region.depth() == 0
        assert all(isinstance(asks.outcomes[str(number)], Expired) for number in range(4))
        nursery.cancel_scope.cancel()


async def test_a_proxy_remembers_so_many_keys_and_reaches_them_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(proxies, "KEYS_MAX", 3)
    async with linked() as (_one, two, _):
        region = two.system.entities("one.residents")
        for number in (*range(8), *range(8)):
            assert await region.ref(number).ask(Echo("x")) == (number, "x")
        host = region._host
        assert host is not None
        assert list(host.active) == [5, 6, 7]
