"""Requests that have arrived whole, answered by the tasks of their connections, on real sockets."""

import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gateway.incoming import Incoming
from gateway.listener import Listener, ListenerSettings
from gateway.messages import LISTENER, Address, GetAddress, GetListenerStatistics
from gateway.problems import Headers
from gateway.quart_app import EncodedAnswer
from gateway.routes import Answer
from runtime import ActorSystem, ChildSpec, Supervisor
from tests.integration.gateway.helpers import PATIENCE_S, eventually, read_to_end

pytestmark = pytest.mark.slow

BIG_BYTES = 32 * 1024 * 1024
HEAD = b" HTTP/1.1\r\nHost: x\r\n"
WAIT = b"GET /wait" + HEAD + b"\r\n"
ECHO = b"POST /echo?a=%20b" + HEAD + b"Content-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /echo" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
BIG = b"GET /big" + HEAD + b"\r\n"


@attrs.define
class App:
    """Answers whole requests itself, and tells all others that they came the long way."""

    headers: Headers = ()
    asked: list[Incoming] = attrs.field(factory=list)
    ended: trio.Event = attrs.field(factory=trio.Event)
    go: trio.Event = attrs.field(factory=trio.Event)

    def prompt_answer(self, request: Incoming) -> Coroutine[Any, Any, EncodedAnswer] | None:
        return None if request.path == "/elsewhere" else self._answer(request)

    def go_away(self) -> None:
        """Everything here has an end."""

    async def _answer(self, request: Incoming) -> EncodedAnswer:
        self.asked.append(request)
        if request.path == "/wait":
            try:
                await self.go.wait()
            finally:
                self.ended.set()
        body = b"x" * BIG_BYTES if request.path == "/big" else await request.data()
        return EncodedAnswer(Answer(body, headers=self.headers), "1", [])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        head = [(b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": b"long", "more_body": False})


@attrs.frozen
class Served:
    app: App
    system: ActorSystem
    address: Address

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream(self.address.host, self.address.port)

    async def begun(self) -> bool:
        return bool(self.app.asked)

    async def empty(self) -> bool:
        found = await self.system.ref(LISTENER).ask(GetListenerStatistics())
        return not found.connections


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Served]:
    app = App()
    options: dict[str, Any] = {"drain_s": 0.1, "send_timeout_s": PATIENCE_S, **settings}
    listening = ListenerSettings(bind="127.0.0.1:0", **options)
    child = ChildSpec(
        "listener",
        lambda: Listener(lambda _system: app, listening),
        name=LISTENER,
        shutdown_s=PATIENCE_S,
    )
    root = ChildSpec("root", lambda: Supervisor((child,), intensity=0), shutdown_s=2 * PATIENCE_S)
    with trio.fail_after(2 * PATIENCE_S):
        async with ActorSystem().run(root) as system:
            yield Served(app, system, await system.ref(LISTENER).ask(GetAddress()))


async def test_all_of_a_request_is_there_when_it_is_answered() -> None:
    async with serving() as served, await served.connect() as stream:
        await stream.send_all(ECHO)
        assert (await stream.receive_some()).endswith(b"\r\n\r\nhello")
        (request,) = served.app.asked
        assert (request.method, request.path, request.query) == ("POST", "/echo", b"a=%20b")
        assert request.headers == [(b"host", b"x"), (b"content-length", b"5")]
        assert (request.body, request.peer) == (b"hello", "127.0.0.1")
        assert request.target_bytes == len("/echo") + len("a=%20b")


@pytest.mark.parametrize("request_", [CHUNKED, ECHO.replace(b"/echo", b"/elsewhere")])
async def test_what_is_not_for_the_short_way_takes_the_long_one(request_: bytes) -> None:
    async with serving() as served, await served.connect() as stream:
        for _ in range(2):
            await stream.send_all(request_)
            assert (await stream.receive_some()).endswith(b"\r\n\r\nlong")
            await wait_all_tasks_blocked()
        await stream.send_all(ECHO)
        assert (await stream.receive_some()).endswith(b"\r\n\r\nhello")
        assert len(served.app.asked) == 1


async def test_who_asks_for_the_end_of_the_connection_gets_it_after_the_answer() -> None:
    async with serving() as served, await served.connect() as stream:
        await stream.send_all(ECHO.replace(HEAD, HEAD + b"Connection: close\r\n"))
        assert (await read_to_end(stream)).endswith(b"\r\n\r\nhello")
        assert len(served.app.asked) == 1


async def test_a_client_that_leaves_ends_the_work_on_its_request() -> None:
    async with serving() as served:
        async with await served.connect() as stream:
            await stream.send_all(WAIT)
            await eventually(served.begun)
        with trio.fail_after(PATIENCE_S):
            await served.app.ended.wait()
        await eventually(served.empty)


async def test_work_without_an_end_is_ended_with_its_connection() -> None:
    async with serving(read_timeout_s=0.1) as served, await served.connect() as stream:
        await stream.send_all(WAIT)
        assert await read_to_end(stream) == b""
        assert served.app.ended.is_set()


async def test_what_was_sent_before_the_client_was_silent_is_answered() -> None:
    async with serving() as served, await served.connect() as stream:
        await stream.send_all(WAIT)
        await eventually(served.begun)
        await stream.send_all(ECHO)
        await stream.send_eof()
        await wait_all_tasks_blocked(0.01)
        served.app.go.set()
        assert (await read_to_end(stream)).count(b"HTTP/1.1 200 ") == 2


async def test_the_end_of_the_listener_ends_the_work_after_its_time() -> None:
    async with serving() as served:
        stream = await served.connect()
        await stream.send_all(WAIT)
        await eventually(served.begun)
    assert served.app.ended.is_set()
    await stream.aclose()


async def test_an_answer_larger_than_what_a_client_takes_at_once_is_sent_to_the_end() -> None:
    async with serving() as served, await served.connect() as stream:
        await stream.send_all(BIG.replace(b"\r\n\r\n", b"\r\nX-A: b\r\n\r\n"))
        received = 0
        while received < BIG_BYTES:
            received += len(await stream.receive_some())
        await stream.send_all(ECHO)
        assert (await stream.receive_some()).endswith(b"\r\n\r\nhello")


async def test_a_client_that_stops_reading_is_cut_off() -> None:
    async with serving(send_timeout_s=0.2) as served, await served.connect() as stream:
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        await stream.send_all(BIG)
        await eventually(served.begun)
        await eventually(served.empty)


@pytest.mark.parametrize("value", ["a\r\nset-cookie: b", "a\nb", "a\rb", "a\0b"])
async def test_a_header_is_never_sent_as_two(value: str) -> None:
    async with serving() as served, await served.connect() as stream:
        served.app.headers = (("x-a", value),)
        await stream.send_all(ECHO)
        assert await read_to_end(stream) == b""


async def test_the_last_answer_of_a_connection_says_so() -> None:
    async with serving(keep_alive_max_requests=2) as served, await served.connect() as stream:
        await stream.send_all(ECHO)
        assert b"connection: close" not in await stream.receive_some()
        await stream.send_all(ECHO)
        assert b"connection: close" in await read_to_end(stream)
