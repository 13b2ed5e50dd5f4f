"""What links promise, over sockets and over the virtual network: one suite for both."""

import socket
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from runtime import ActorDown, AskCycle, AskTimeout, MailboxFull, Outcome, TerminateChild, ask_all
from runtime.errors import StartFailed
from runtime.links import LinkDown, LinkLost, NotSendable, WebSocketNetwork
from tests.shards import (
    PATIENT,
    Colour,
    Echo,
    Fail,
    Hold,
    Note,
    Notes,
    Pass,
    Sad,
    Unregistered,
    pair,
    peer_of,
    running_shard,
    virtual_network,
)

Pair = Callable[..., Any]

PATIENCE_S = 60.0
LONG_DRAIN = attrs.evolve(PATIENT, drain_s=PATIENCE_S)


async def until(holds: Callable[[], object]) -> None:
    """Wait until it holds."""
    with trio.fail_after(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - it is about the other side of a socket
            await trio.sleep(0.005)


@pytest.fixture(params=["sockets", "virtual"])
def shards(request: pytest.FixtureRequest) -> Pair:
    """Makes two shards with a link between them."""
    if request.param == "sockets":
        network = WebSocketNetwork()
        return partial(pair, lambda _name: network, "127.0.0.1:0", limits=PATIENT)
    virtual = virtual_network()
    return partial(pair, virtual.node, "one:1", limits=PATIENT)


VALUES = (
    None,
    "text",
    12,
    1.5,
    b"bytes",
    (1, (2, "three")),
    ["a", {"key": (1,)}],
    {"a": 1, 2: "b"},
    frozenset({"x", "y"}),
    datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
    date(2026, 1, 2),
    timedelta(days=1, microseconds=5),
    Colour.RED,
    Note(7),
)


async def test_an_actor_answers_from_another_shard_and_values_come_back_the_same(
    shards: Pair,
) -> None:
    async with shards() as (one, two):
        for asker, name in ((two, "one.clerk"), (one, "two.clerk")):
            answer = await asker.ref(name).ask(Echo(VALUES))
            assert answer == VALUES
            assert list(map(type, answer)) == list(map(type, VALUES))


async def test_entities_are_reached_by_their_keys_wherever_they_are(shards: Pair) -> None:
    async with shards() as (one, two):
        region = two.system.entities("one.residents")
        answers = await ask_all((region.ref(("m", number)), Echo(number)) for number in range(9))
        assert answers == [(("m", number), number) for number in range(9)]
        assert await one.system.entities("one.residents").ref("k").ask(Echo(1)) == ("k", 1)


async def test_messages_of_one_sender_keep_their_order(shards: Pair) -> None:
    async with shards() as (_one, two):
        ref = two.ref("one.clerk")
        for number in range(2000):
            await ref.send(Note(number))
        assert await ref.ask(Notes()) == tuple(range(2000))


async def test_what_is_told_arrives(shards: Pair) -> None:
    async with shards() as (one, two):
        assert all(two.ref("one.clerk").tell(Note(number)) for number in range(100))
        await until(lambda: len(one.clerk.notes) == 100)


async def test_a_cancelled_ask_cancels_the_work_over_there(shards: Pair) -> None:
    async with shards() as (one, two):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(two.ref("one.clerk").ask, Hold("mine"))
                await until(lambda: one.clerk.holding)
                scope.cancel()
        await until(lambda: one.clerk.cancelled == ["mine"])
        assert await two.ref("one.clerk").ask(Echo(1)) == 1


async def test_an_unread_ask_is_withdrawn_over_there(shards: Pair) -> None:
    async with shards() as (one, two), trio.open_nursery() as nursery:
        nursery.start_soon(two.ref("one.clerk").ask, Hold("first"))
        await until(lambda: one.clerk.holding)
        unread = one.clerk._incarnation.cell.items
        async with trio.open_nursery() as asking:
            asking.start_soon(two.ref("one.clerk").ask, Hold("second"))
            await until(lambda: len(unread) == 1)
            asking.cancel_scope.cancel()
        await until(lambda: not unread)
        one.clerk.go.set()


async def test_a_deadline_ends_the_ask_and_the_work_over_there(shards: Pair) -> None:
    async with shards() as (one, two):
        with pytest.raises(AskTimeout):
            await two.ref("one.clerk").ask(Hold("mine"), timeout_s=1.0)
        await until(lambda: one.clerk.cancelled == ["mine"])


async def test_an_error_says_as_much_of_the_outcome_as_it_would_here(shards: Pair) -> None:
    async with shards() as (one, two):
        with pytest.raises(ActorDown) as down:
            await two.ref("one.absent").ask(Echo(1))
        assert down.value.outcome is Outcome.NOT_DELIVERED
        message = Fail()
        with pytest.raises(ActorDown) as crashed:
            await two.ref("one.clerk").ask(message)
        assert crashed.value.outcome is Outcome.UNKNOWN
        assert crashed.value.message is message
        with pytest.raises(Sad, match="as it is"):
            await two.ref("one.small").ask(Fail(passed_on=True))
        assert (one.links.is_up("two"), two.links.is_up("one")) == (True, True)


async def test_a_full_mailbox_over_there_is_full_here(shards: Pair) -> None:
    async with shards() as (one, two), trio.open_nursery() as nursery:
        small = two.ref("one.small")
        nursery.start_soon(small.ask, Hold())
        await until(lambda: one.links.statistics()[0].serving == 1)
        await wait_all_tasks_blocked(0.01)
        nursery.start_soon(small.ask, Hold())
        await until(lambda: one.ref("one.small").mailbox().depth == 1)
        with pytest.raises(MailboxFull):
            await small.ask(Hold())
        nursery.cancel_scope.cancel()


async def test_an_ask_that_would_wait_on_itself_across_shards_fails_at_once(shards: Pair) -> None:
    async with shards() as (_one, two):
        there_and_back = Pass("one.clerk", Pass("two.clerk", Echo(1)))
        with pytest.raises(AskCycle) as cycle:
            await two.ref("two.clerk").ask(there_and_back, timeout_s=PATIENCE_S)
        assert cycle.value.cycle[0] == "two:two.clerk"
        through_entities = Pass("one.residents", Pass("two.clerk", Echo(1)), key="k")
        with pytest.raises(ActorDown, match="AskCycle"):
            await two.ref("two.clerk").ask(through_entities, timeout_s=PATIENCE_S)


async def test_what_cannot_be_sent_is_refused_and_the_link_goes_on(shards: Pair) -> None:
    async with shards() as (_one, two):
        ref = two.ref("one.clerk")
        with pytest.raises(NotSendable) as refused:
            await ref.ask(Unregistered())
        assert refused.value.outcome is Outcome.NOT_DELIVERED
        with pytest.raises(NotSendable):
            await ref.ask(Echo(b"x" * 2_000_000))
        assert await ref.ask(Echo(b"x" * 900_000)) == b"x" * 900_000


async def test_a_lost_link_leaves_what_was_sent_unknown_and_the_rest_undelivered(
    shards: Pair,
) -> None:
    async with shards() as (one, two):
        lost: list[BaseException] = []

        async def ask() -> None:
            try:
                await two.ref("one.clerk").ask(Hold("mine"))
            except LinkLost as error:
                lost.append(error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await until(lambda: one.clerk.holding)
            session = two.links.peer("one").session
            assert session is not None
            session.end("cut")
        assert [type(error) for error in lost] == [LinkLost]
        assert lost[0].outcome is Outcome.UNKNOWN  # type: ignore[attr-defined]
        await until(lambda: one.clerk.cancelled == ["mine"])
        with trio.fail_after(PATIENCE_S):
            await two.links.up()
        assert await two.ref("one.clerk").ask(Echo(1)) == 1


async def test_without_a_link_nothing_is_delivered(shards: Pair) -> None:
    async with shards() as (one, two):
        await one.system.ref("links").ask(TerminateChild("listener"))
        await until(lambda: not two.links.is_up("one"))
        with pytest.raises(LinkDown) as down:
            await two.ref("one.clerk").ask(Echo(1))
        assert down.value.outcome is Outcome.NOT_DELIVERED


async def test_a_shard_that_stops_answers_what_is_under_way_first(shards: Pair) -> None:
    async with shards(limits=LONG_DRAIN) as (one, two):
        answers: list[str] = []

        async def ask() -> None:
            answers.append(await two.ref("one.clerk").ask(Hold("mine")))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await until(lambda: one.clerk.holding)
            nursery.start_soon(one.system.ref("links").ask, TerminateChild("listener"))
            await until(lambda: not two.links.is_up("one"))
            with pytest.raises(LinkDown):
                await two.ref("one.clerk").ask(Echo(1))
            one.clerk.go.set()
        assert answers == ["mine"]


async def test_an_address_that_cannot_be_had_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StartFailed) as failed:
            async with running_shard("one", WebSocketNetwork(), (peer_of("two"),), listen=address):
                pass
    assert f"cannot listen for links on {address}: Address already in use" in str(failed.value)


async def test_more_asks_than_credit_wait_their_turn(shards: Pair) -> None:
    async with shards() as (one, two):
        asks = [(two.ref("one.pool"), Hold(str(number))) for number in range(400)]
        answers: list[list[Any]] = []

        async def ask() -> None:
            answers.append(await ask_all(asks))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await until(lambda: one.pool.holding == 256)
            await wait_all_tasks_blocked(0.02)
            assert one.pool.holding == 256
            assert two.links.statistics()[0].credit == 0
            one.pool.go.set()
        assert answers == [[str(number) for number in range(400)]]
        await until(lambda: two.links.statistics()[0].credit > 192)
