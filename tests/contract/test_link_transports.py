"""What links ask of a network, real or virtual: whole messages, in order, and an end."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import pytest
import trio
from trio.testing import assert_checkpoints

from runtime.links import LinkNetwork, LinkTransport, TransportClosed, WebSocketNetwork
from tests.certificates import Authority
from tests.shards import virtual_network

BYTES_MAX = 1000
PATIENCE_S = 60.0


@attrs.define
class Ends:
    """Both ends of a connection, and the network to make more."""

    network: LinkNetwork
    address: str
    here: LinkTransport
    there: LinkTransport
    over: trio.Event


@asynccontextmanager
async def connected(kind: str, connections_max: int = 5) -> AsyncIterator[Ends]:
    serving: LinkNetwork = encrypted() if kind == "encrypted" else WebSocketNetwork()
    dialing, address = serving, "127.0.0.1:0"
    if kind == "virtual":
        virtual = virtual_network()
        serving, dialing, address = virtual.node("there"), virtual.node("here"), "there:1"
    accepted, take = trio.open_memory_channel[LinkTransport](5)
    over = trio.Event()

    async def serve(transport: LinkTransport) -> None:
        await accepted.send(transport)
        await over.wait()

    async def listen(task_status: Any) -> None:
        await serving.listen(
            address,
            serve,
            message_bytes_max=BYTES_MAX,
            connections_max=connections_max,
            task_status=task_status,
        )

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            address = await nursery.start(listen)
            async with dialing.connect(address, message_bytes_max=BYTES_MAX) as here:
                yield Ends(dialing, address, here, await take.receive(), over)
            nursery.cancel_scope.cancel()


def encrypted() -> LinkNetwork:
    """What was read stays, though the files are gone."""
    with TemporaryDirectory() as folder:
        files = Authority(Path(folder)).issue("shard")
        server, client = files.context(server=True), files.context(server=False)
    return WebSocketNetwork(lambda: server, lambda: client)


KINDS = pytest.mark.parametrize("kind", ["sockets", "encrypted", "virtual"])


@KINDS
async def test_messages_arrive_whole_and_in_order_in_both_directions(kind: str) -> None:
    async with connected(kind) as ends:
        for sender, receiver in ((ends.here, ends.there), (ends.there, ends.here)):
            sent = [bytes([number]) * number for number in range(100)]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send_all, sender, sent)
                assert [await receiver.receive() for _ in sent] == sent


async def send_all(transport: LinkTransport, messages: list[bytes]) -> None:
    for message in messages:
        await transport.send(message)


@KINDS
async def test_the_end_is_noticed_behind_what_was_sent_before(kind: str) -> None:
    async with connected(kind) as ends:
        await ends.there.send(b"last words")
        await trio.sleep(0.02)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ends.there.aclose)
            assert await ends.here.receive() == b"last words"
            with pytest.raises(TransportClosed):
                await ends.here.receive()
        with pytest.raises(TransportClosed):
            await send_all(ends.there, [b"more"] * 100)
        await ends.there.aclose()


@KINDS
async def test_a_cancelled_receive_loses_nothing(kind: str) -> None:
    async with connected(kind) as ends:
        for moment in range(8):
            with trio.move_on_after(moment * 0.0005):
                await ends.here.receive()
        await ends.there.send(b"a")
        await ends.there.send(b"b")
        with trio.CancelScope() as scope:
            scope.cancel()
            await ends.here.receive()
        assert await ends.here.receive() == b"a"
        assert await ends.here.receive() == b"b"


@KINDS
async def test_a_message_above_the_bound_ends_the_connection(kind: str) -> None:
    async with connected(kind) as ends:
        await ends.here.send(b"x" * (BYTES_MAX + 1))
        with pytest.raises(TransportClosed):
            await ends.there.receive()
        with pytest.raises(TransportClosed):
            await ends.here.receive()


@KINDS
async def test_nobody_is_there(kind: str) -> None:
    network: LinkNetwork = encrypted() if kind == "encrypted" else WebSocketNetwork()
    if kind == "virtual":
        network = virtual_network().node("here")
    with pytest.raises(TransportClosed), trio.fail_after(PATIENCE_S):
        async with network.connect("127.0.0.1:1", message_bytes_max=BYTES_MAX):
            pass


@KINDS
async def test_more_connections_than_may_be_are_closed(kind: str) -> None:
    async with connected(kind, connections_max=1) as ends:
        with pytest.raises(TransportClosed):
            async with ends.network.connect(ends.address, message_bytes_max=BYTES_MAX) as more:
                await more.receive()
        await ends.here.send(b"still there")
        assert await ends.there.receive() == b"still there"


@KINDS
async def test_closing_takes_no_longer_than_a_moment_when_nobody_listens(kind: str) -> None:
    async with connected(kind) as ends:
        began = trio.current_time()
        await ends.here.aclose()
        assert trio.current_time() - began < PATIENCE_S / 4
        with trio.CancelScope() as scope:
            scope.cancel()
            await ends.there.aclose()


async def connect_once(ends: Ends) -> None:
    async with ends.network.connect(ends.address, message_bytes_max=BYTES_MAX):
        pass


CALLS: dict[str, Callable[[Ends], Any]] = {
    "send": lambda ends: ends.here.send(b"x"),
    "receive": lambda ends: ends.here.receive(),
    "connect": connect_once,
}


@KINDS
@pytest.mark.parametrize("call", CALLS)
async def test_each_is_a_checkpoint_and_ends_when_it_is_cancelled(kind: str, call: str) -> None:
    async with connected(kind) as ends:
        await ends.there.send(b"x")
        await trio.sleep(0.01)
        with assert_checkpoints():
            await CALLS[call](ends)
        with trio.CancelScope() as scope:
            scope.cancel()
            await CALLS[call](ends)
        assert scope.cancelled_caught
