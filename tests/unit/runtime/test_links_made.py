"""Making links in virtual time: what goes wrong in between, and who is told of it."""

from collections.abc import Sequence

import pytest
import structlog
import trio

from runtime import (
    TerminateChild,
)
from runtime.links import LinkDown, LinkLimits, LinkTransport, handshake
from runtime.links.frames import VERSION, Hello, Proof, encode_frame, frames_of, joined
from runtime.links.handshake import NONCE_BYTES
from tests.shards import (
    SECRET,
    Echo,
    Hold,
    peer_of,
    running_shard,
    virtual_network,
)
from tests.unit.runtime.test_links import Asks
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

SOON = LinkLimits(backoff_cap_s=1.0)


async def test_a_secret_that_cannot_be_read_for_a_while_ends_no_dialer() -> None:
    network = virtual_network()
    readable = False

    def secrets() -> Sequence[bytes]:
        if not readable:
            raise OSError("is being replaced")
        return (SECRET,)

    peers, dialing = (peer_of("three"),), (peer_of("one", "a"), peer_of("two", "b"))
    async with (
        running_shard("one", network.node("one"), peers, listen="a"),
        running_shard("two", network.node("two"), peers, listen="b"),
        running_shard(
            "three", network.node("three"), dialing, secrets=secrets, limits=LinkLimits()
        ) as three,
    ):
        await trio.sleep(60.0)
        for peer in ("one", "two"):
            restarts, child = "loyalnest_actor_restarts_total", {"child": f"dialer of {peer}"}
            assert not three.system.metrics.registry.get_sample_value(restarts, child)
        readable = True
        with trio.fail_after(10):
            await three.links.up()
        assert await three.ref("one.clerk").ask(Echo(1)) == 1


async def test_a_listener_that_stops_makes_no_links_while_it_says_goodbye() -> None:
    network = virtual_network()
    peers = (peer_of("two"), peer_of("three"))
    dialing = (peer_of("one", "a"),)
    async with (
        running_shard("one", network.node("one"), peers, listen="a", limits=LinkLimits()) as one,
        running_shard("two", network.node("two"), dialing) as two,
        running_shard("three", network.node("three"), dialing) as three,
        trio.open_nursery() as nursery,
    ):
        for shard in (one, two, three):
            await shard.links.up()
        asks = Asks(nursery)
        asks.start("held", three.ref("one.pool"), Hold())
        await trio.sleep(0.1)
        nursery.start_soon(one.system.ref("links").ask, TerminateChild("listener"))
        for number in range(20):
            await trio.sleep(0.1)
            asks.start(str(number), two.ref("one.pool"), Hold())
        await trio.sleep(5)
        errors = {type(asks.outcomes[str(number)]) for number in range(20)}
        assert errors == {LinkDown}


async def test_a_peer_that_is_refused_again_and_again_is_warned_of_once_a_minute() -> None:
    network = virtual_network()
    dialing = (peer_of("one", "a"),)
    with structlog.testing.capture_logs() as logs:
        async with (
            running_shard("one", network.node("one"), (peer_of("two"),), listen="a"),
            running_shard("stranger", network.node("stranger"), dialing, limits=LinkLimits()),
        ):
            await trio.sleep(90)
    events = [entry["event"] for entry in logs if entry["log_level"] == "warning"]
    assert sorted(events) == ["link_not_made"] * 2 + ["link_refused"] * 2


async def test_a_network_that_is_silent_from_the_beginning_is_warned_of() -> None:
    network = virtual_network()
    network.partition("one", "two")
    dialing = (peer_of("one", "a"),)
    with structlog.testing.capture_logs() as logs:
        async with (
            running_shard("one", network.node("one"), (peer_of("two"),), listen="a"),
            running_shard("two", network.node("two"), dialing),
        ):
            await trio.sleep(30)
    warnings = [entry for entry in logs if entry["log_level"] == "warning"]
    assert [(entry["event"], entry["reason"]) for entry in warnings] == [
        ("link_not_made", "handshake_timeout")
    ]


async def test_while_a_secret_is_replaced_both_are_good_and_afterwards_the_new_one_alone() -> None:
    network, new = virtual_network(), b"another secret of both"
    listening: list[bytes] = [SECRET]
    dialling: list[bytes] = [SECRET]
    peers, dialing = (peer_of("two"),), (peer_of("one", "a"),)
    node = network.node
    async with (
        running_shard("one", node("one"), peers, listen="a", secrets=lambda: listening),
        running_shard("two", node("two"), dialing, secrets=lambda: dialling, limits=SOON) as two,
    ):
        for here, there, good in (
            ([SECRET], [SECRET], True),
            ([SECRET, new], [SECRET], True),
            ([new, SECRET], [SECRET, new], True),
            ([new], [new, SECRET], True),
            ([new], [new], True),
            ([new], [SECRET], False),
            ([SECRET, new], [SECRET[:10]], False),
            ([SECRET], [], False),
            ([SECRET[:10]], [SECRET[:10]], False),
        ):
            listening[:], dialling[:] = here, there
            network.cut()
            await trio.sleep(5)
            assert two.links.is_up("one") is good


async def test_a_shard_that_answers_in_the_place_of_another_is_not_that_one() -> None:
    """Both know the secret; it is at the address of the other by mistake."""
    network = virtual_network()

    async def answer(transport: LinkTransport) -> None:
        (theirs,) = frames_of(await transport.receive())
        assert isinstance(theirs, Hello)
        ours = Hello(VERSION, "three", "three-1", 0, b"n" * NONCE_BYTES, "two")
        proof = Proof(handshake._mac(SECRET, handshake.LISTENER, theirs, ours))
        await transport.send(joined(map(encode_frame, (ours, proof))))
        await trio.sleep_forever()

    async def listen() -> None:
        node = network.node("three")
        await node.listen("a", answer, message_bytes_max=1 << 20, connections_max=9)

    peers = (peer_of("one", "a"), peer_of("three"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        async with running_shard("two", network.node("two"), peers) as two:
            await trio.sleep(5)
            assert [each.sessions for each in two.links.statistics()] == [0, 0]
            name, labels = "loyalnest_link_failures_total", {"peer": "one", "reason": "wrong_shard"}
            assert two.system.metrics.registry.get_sample_value(name, labels)
        nursery.cancel_scope.cancel()
