"""The gateway's own connections: closing, HEAD, HTTP/2, WebSockets, Quart's own routes."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h2.connection
import h2.events
import pytest
import trio
from structlog.testing import capture_logs

from actors.core.messages import MERCHANTS, Merchant
from gateway.door import PART_S
from gateway.listener import ListenerSettings
from gateway.messages import LISTENER, GetListenerStatistics
from gateway.quart_app import Gateway
from runtime import Actor, TerminateChild
from tests.integration.gateway.helpers import (
    MERCHANT,
    PATIENCE_S,
    eventually,
    outcome_of,
    problem_of,
    read_to_end,
    running_stubs,
    stub,
)

pytestmark = pytest.mark.slow

START = datetime(2026, 1, 1, tzinfo=UTC)

WEBSOCKET = (
    b"GET /v1/dead HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def test_a_connection_is_closed_when_the_client_asks_for_it(tmp_path: Path) -> None:
    async with running_stubs(tmp_path, ()) as served:
        answer = await served.raw(
            b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        assert answer.endswith(b'\r\n\r\n{"status":"ok"}')


async def test_an_idle_connection_is_closed_in_time(tmp_path: Path) -> None:
    listener = ListenerSettings(keep_alive_timeout_s=0.1, drain_s=1.0)
    async with running_stubs(tmp_path, (), listener=listener) as served:
        answer = await served.raw(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.endswith(b'{"status":"ok"}')


async def test_a_client_that_went_away_counts_no_more(tmp_path: Path) -> None:
    listener = ListenerSettings(keep_alive_timeout_s=300.0)
    async with running_stubs(tmp_path, (), listener=listener) as served:
        for _ in range(20):
            stream = await trio.open_tcp_stream(served.address.host, served.address.port)
            await stream.send_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            await stream.receive_some()
            await stream.aclose()

        async def all_gone() -> bool:
            found = await served.system.ref(LISTENER).ask(GetListenerStatistics())
            return found.accepted == 20 and found.connections == 0

        await eventually(all_gone)


async def test_an_idle_connection_does_not_hold_up_the_end(tmp_path: Path) -> None:
    listener = ListenerSettings(drain_s=30.0)
    async with running_stubs(tmp_path, (), listener=listener) as served:
        stream = await trio.open_tcp_stream(served.address.host, served.address.port)
        await stream.send_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        await stream.receive_some()
        began = trio.current_time()
    assert trio.current_time() - began < listener.drain_s / 2
    await stream.aclose()


async def test_a_request_in_hand_is_finished_before_the_end(tmp_path: Path) -> None:
    begun, go, answered = trio.Event(), trio.Event(), trio.Event()
    answers: list[int] = []

    async def slow(_actor: Actor, _message: object) -> object:
        begun.set()
        await go.wait()
        return Merchant(MERCHANT, "Flora", "EUR", START)

    async with trio.open_nursery() as nursery:
        stubs, listener = [stub(MERCHANTS, slow)], ListenerSettings(drain_s=PATIENCE_S)
        async with running_stubs(tmp_path, stubs, listener=listener) as served:

            async def ask() -> None:
                answers.append((await served.ask("GET", "/v1/merchant")).status_code)
                answered.set()

            nursery.start_soon(ask)
            await begun.wait()
            nursery.start_soon(served.system.ref("root").ask, TerminateChild("listener"))

            async def closed() -> bool:
                try:
                    stream = await trio.open_tcp_stream(served.address.host, served.address.port)
                except OSError as error:
                    return "all attempts to connect" in str(error)
                await stream.aclose()
                return False

            await eventually(closed)
            go.set()
            await answered.wait()
        assert answers == [200]


async def test_a_request_of_which_a_part_has_come_is_answered_before_the_end(
    tmp_path: Path,
) -> None:
    head = b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
    listener = ListenerSettings(drain_s=PATIENCE_S)
    async with (
        trio.open_nursery() as nursery,
        running_stubs(tmp_path, (), listener=listener) as served,
    ):
        stream = await trio.open_tcp_stream(served.address.host, served.address.port)
        async with stream:
            await stream.send_all(head)
            nursery.start_soon(served.system.ref("root").ask, TerminateChild("listener"))
            await trio.sleep(2 * PART_S)
            await stream.send_all(b"{}")
            assert (await read_to_end(stream)).startswith(b"HTTP/1.1 401 ")


async def test_requests_in_a_row_on_one_connection_are_answered_in_order(tmp_path: Path) -> None:
    async with running_stubs(tmp_path, ()) as served:
        line = b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Request-Id: r%d\r\n\r\n"
        last = b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answer = await served.raw(b"".join(line % number for number in range(20)) + last)
        ids = [int(part.split(b"\r\n")[0]) for part in answer.split(b"x-request-id: r")[1:20]]
        assert ids == list(range(19))
        assert answer.count(b"HTTP/1.1 200 ") == 20
        assert answer.count(b"HTTP/1.1 404 ") == 1


async def test_head_is_get_without_the_body(tmp_path: Path) -> None:
    async with running_stubs(tmp_path, ()) as served:
        get = await served.client.get("/docs")
        head = await served.client.head("/docs")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(get.content))


async def test_http2_is_spoken_to_those_who_begin_with_it(tmp_path: Path) -> None:
    async with running_stubs(tmp_path, ()) as served:
        connection = h2.connection.H2Connection()
        connection.initiate_connection()
        head = [(":method", "GET"), (":path", "/nothing"), (":scheme", "http")]
        connection.send_headers(1, [*head, (":authority", "x")], end_stream=True)
        stream = await trio.open_tcp_stream(served.address.host, served.address.port)
        headers: dict[bytes, bytes] = {}
        body = b""
        async with stream:
            await stream.send_all(connection.data_to_send())
            with trio.fail_after(PATIENCE_S):
                while not body:
                    for event in connection.receive_data(bytes(await stream.receive_some())):
                        if isinstance(event, h2.events.ResponseReceived):
                            headers = dict(event.headers)
                        elif isinstance(event, h2.events.DataReceived):
                            body += event.data
        assert headers[b":status"] == b"404"
        assert headers[b"content-type"] == b"application/problem+json"
        assert b'"code":"not_found"' in body


async def test_a_websocket_nobody_serves_is_refused_with_a_problem(tmp_path: Path) -> None:
    async with running_stubs(tmp_path, ()) as served:
        answer = await served.raw(WEBSOCKET)
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert b'"code":"not_found"' in answer


class Unruly(Gateway):
    """The gateway with routes added to Quart in its own way."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.add_url_rule("/own", "own", self.own)
        self.add_url_rule("/group", "group", self.group)

    async def own(self) -> str:
        return "Quart's own"

    async def group(self) -> str:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.fail)
        return "never"

    async def fail(self) -> None:
        raise ValueError("secret of the house")


async def test_routes_of_quart_itself_work_and_fail_with_problems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.application.Gateway", Unruly)
    async with running_stubs(tmp_path, ()) as served:
        own = await served.client.get("/own")
        assert (own.status_code, own.text) == (200, "Quart's own")
        with capture_logs() as logs:
            failed = await served.client.get("/group")
        assert outcome_of(failed) == (500, "internal_error")
        assert "secret" not in failed.text
        assert any(line["event"] == "request_failed" for line in logs)
        assert (await served.client.get("/own")).status_code == 200


@pytest.mark.parametrize(
    ("headers", "trace_id", "request_id"),
    [
        ({"X-Request-Id": "shop-17"}, "shop-17", "shop-17"),
        (
            {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
            "0af7651916cd43dd8448eb211c80319c",
            "0af7651916cd43dd8448eb211c80319c",
        ),
        (
            {
                "X-Request-Id": "shop-17",
                "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            },
            "0af7651916cd43dd8448eb211c80319c",
            "shop-17",
        ),
    ],
)
async def test_the_caller_s_trace_goes_on(
    tmp_path: Path, headers: dict[str, str], trace_id: str, request_id: str
) -> None:
    async with running_stubs(tmp_path, ()) as served:
        with capture_logs() as logs:
            answer = await served.client.get("/nothing", headers=headers)
        assert problem_of(answer)["trace_id"] == trace_id
        assert answer.headers["x-request-id"] == request_id
        assert [line["trace_id"] for line in logs if line["event"] == "request"] == [trace_id]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Request-Id": ""},
        {"X-Request-Id": "a b"},
        {"X-Request-Id": "x" * 129},
        {"X-Request-Id": '"><script>'},
        {"traceparent": "00-00000000000000000000000000000000-b7ad6b7169203331-01"},
        {"traceparent": "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        {"traceparent": "not a trace"},
    ],
)
async def test_without_a_valid_trace_a_request_gets_an_id_of_ours(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    async with running_stubs(tmp_path, ()) as served:
        answer = await served.client.get("/nothing", headers=headers)
        assert problem_of(answer)["trace_id"].startswith("req_")
        assert answer.headers["x-request-id"] == answer.json()["trace_id"]


async def test_the_request_line_of_the_log_has_no_secrets(tmp_path: Path) -> None:
    async with running_stubs(tmp_path, ()) as served:
        token = served.token()
        with capture_logs() as logs:
            await served.ask("GET", "/v1/auth/me?secret=1", token=token)
        (line,) = [line for line in logs if line["event"] == "request"]
        assert line["route"] == "/v1/auth/me"
        assert line["merchant_id"] == "flora"
        assert line["log_level"] == "info"
        assert token not in str(logs)
        assert "secret" not in str(logs)
