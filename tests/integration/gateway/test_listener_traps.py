"""What one connection may do to the server: nothing. Regressions of the stack, on real sockets."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import h2.config
import h2.connection
import h2.events
import httpx
import pytest
import trio
from quart import websocket
from quart_trio import QuartTrio

from gateway.addresses import proxies
from gateway.listener import Application, Listener, ListenerSettings
from gateway.messages import (
    LISTENER,
    Address,
    GetAddress,
    GetListenerStatistics,
    ListenerStatistics,
)
from runtime import ActorSystem, ChildSpec, Supervisor
from tests.integration.gateway.helpers import PATIENCE_S, eventually, read_to_end

pytestmark = pytest.mark.slow

DRAIN_S = 0.3
BIG_BYTES = 32 * 1024 * 1024
UPGRADE = (
    b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def small_app() -> QuartTrio:
    """A page, a big page, and a WebSocket that echoes."""
    app = QuartTrio("small", static_folder=None)

    @app.route("/", methods=["GET", "POST"])
    async def page() -> str:
        return "fine"

    @app.get("/big")
    async def big() -> bytes:
        return b"x" * BIG_BYTES

    @app.websocket("/echo")
    async def echo() -> None:
        while True:
            await websocket.send(await websocket.receive())

    return app


@attrs.frozen
class Served:
    system: ActorSystem
    address: Address

    async def statistics(self) -> ListenerStatistics:
        return await self.system.ref(LISTENER).ask(GetListenerStatistics())

    async def is_empty(self) -> bool:
        return not (await self.statistics()).connections

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream(self.address.host, self.address.port)

    async def is_fine(self) -> bool:
        async with httpx.AsyncClient(
            base_url=self.address.url, verify=False, timeout=PATIENCE_S
        ) as client:
            return (await client.get("/")).text == "fine"


@asynccontextmanager
async def serving(
    app: Callable[[], Application] = small_app, **settings: Any
) -> AsyncIterator[Served]:
    options: dict[str, Any] = {
        "bind": "127.0.0.1:0",
        "drain_s": DRAIN_S,
        "head_timeout_s": PATIENCE_S,
        "keep_alive_timeout_s": PATIENCE_S,
        "send_timeout_s": PATIENCE_S,
    } | settings
    child = ChildSpec(
        "listener",
        lambda: Listener(lambda _system: app(), ListenerSettings(**options)),
        name=LISTENER,
        shutdown_s=PATIENCE_S,
    )
    root = ChildSpec("root", lambda: Supervisor((child,), intensity=0), shutdown_s=2 * PATIENCE_S)
    async with ActorSystem().run(root) as system:
        address = await system.ref(LISTENER).ask(GetAddress())
        yield Served(system, address)


async def test_a_byte_after_a_websocket_upgrade_ends_that_connection_only() -> None:
    async with serving() as served:
        stream = await served.connect()
        async with stream:
            await stream.send_all(UPGRADE + b"x")
            await read_to_end(stream)
        assert await served.is_fine()
        assert (await served.statistics()).accepted == 2


async def test_a_path_of_http2_that_is_not_ascii_ends_that_request_only() -> None:
    async with serving() as served:
        config = h2.config.H2Configuration(
            header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
        )
        connection = h2.connection.H2Connection(config)
        connection.initiate_connection()
        for stream_id, path in ((1, b"/caf\xe9"), (3, b"/")):
            headers = [
                (b":method", b"GET"),
                (b":path", path),
                (b":scheme", b"http"),
                (b":authority", b"x"),
            ]
            connection.send_headers(stream_id, headers, end_stream=True)
        stream = await served.connect()
        statuses: dict[int, bytes] = {}
        async with stream:
            await stream.send_all(connection.data_to_send())
            with trio.fail_after(PATIENCE_S):
                while len(statuses) < 2:
                    for event in connection.receive_data(bytes(await stream.receive_some())):
                        if isinstance(event, h2.events.ResponseReceived):
                            statuses[event.stream_id] = dict(event.headers)[b":status"]
        assert statuses == {1: b"400", 3: b"200"}
        assert await served.is_fine()


async def test_a_client_that_stops_reading_does_not_hold_up_the_end() -> None:
    async with serving() as served:
        stream = await served.connect()
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        await stream.send_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        await stream.receive_some(1)
        began = trio.current_time()
    await stream.aclose()
    assert trio.current_time() - began < PATIENCE_S / 2


async def test_a_client_that_stops_reading_is_cut_off_while_others_are_served() -> None:
    async with serving(send_timeout_s=0.3) as served:
        stream = await served.connect()
        await stream.send_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        await stream.receive_some(1)
        assert await served.is_fine()
        await eventually(served.is_empty)
        await stream.aclose()


async def test_connections_over_the_bound_are_told_to_come_back() -> None:
    async with serving(connections_max=1) as served:
        first = await served.connect()
        await first.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await first.receive_some()
        second = await served.connect()
        await second.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await read_to_end(second)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1" in answer
        assert (await served.statistics()).refused == 1
        await first.aclose()
        await second.aclose()


async def test_a_part_of_a_request_is_no_way_around_the_bound_on_connections() -> None:
    async with serving(connections_max=1) as served:
        first, second = await served.connect(), await served.connect()
        async with first, second:
            await second.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n")
            answer = await read_to_end(second)
            assert b'"code":"too_many_connections"' in answer
            assert (await served.statistics()).refused == 1


async def test_a_handler_that_reads_no_body_does_not_hold_up_its_connection() -> None:
    """It is cancelled at the end of its answer, while the connection makes ready for the next."""
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    async with serving() as served:
        stream = await served.connect()
        async with stream:
            for _ in range(10):
                await stream.send_all(request)
                answer = b""
                with trio.fail_after(PATIENCE_S):
                    while not answer.endswith(b"\r\n\r\nfine"):
                        answer += await stream.receive_some()


async def test_an_application_that_fails_outside_its_handlers_ends_one_connection() -> None:
    def failing() -> Application:
        inner = small_app()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] == "/fail":
                raise BaseExceptionGroup("two", [ValueError("a"), ExceptionGroup("b", [OSError()])])
            await inner(scope, receive, send)

        return app

    async with serving(failing) as served:
        stream = await served.connect()
        async with stream:
            await stream.send_all(b"GET /fail HTTP/1.1\r\nHost: x\r\n\r\n")
            await read_to_end(stream)
        assert await served.is_fine()


async def test_messages_of_a_websocket_are_never_unpacked_and_have_a_bound() -> None:
    async with serving(websocket_max_message_bytes=1_000) as served:
        stream = await served.connect()
        async with stream:
            offer = b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
            await stream.send_all(UPGRADE.removesuffix(b"\r\n") + offer)
            accepted = bytes(await stream.receive_some())
            assert accepted.startswith(b"HTTP/1.1 101 ")
            assert b"permessage-deflate" not in accepted
            masked = b"\x82\xfe" + (2_000).to_bytes(2) + b"\0\0\0\0" + b"x" * 2_000
            await stream.send_all(masked)
            received = b""
            with trio.fail_after(PATIENCE_S):
                while (1_009).to_bytes(2) not in received:
                    received += await stream.receive_some()
        assert await served.is_fine()


async def test_one_address_does_not_take_all_connections() -> None:
    async with serving(connections_max=4, connections_per_address_max=2) as served:
        streams = [await served.connect() for _ in range(3)]
        await streams[2].send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await read_to_end(streams[2])
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b'"code":"too_many_connections"' in answer
        other = await trio.open_tcp_stream(
            served.address.host, served.address.port, local_address="127.0.0.2"
        )
        await other.send_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await read_to_end(other)).startswith(b"HTTP/1.1 200 ")
        await streams[0].aclose()
        await eventually(lambda: _open(served, 1))
        assert await served.is_fine()
        for stream in (*streams, other):
            await stream.aclose()


async def _open(served: Served, connections: int) -> bool:
    return (await served.statistics()).connections == connections


async def test_a_trusted_proxy_may_have_all_connections() -> None:
    trusted = proxies(["127.0.0.0/8"])
    async with serving(connections_per_address_max=1, trusted_proxies=trusted) as served:
        streams = [await served.connect() for _ in range(3)]
        assert await served.is_fine()
        assert (await served.statistics()).refused == 0
        for stream in streams:
            await stream.aclose()
