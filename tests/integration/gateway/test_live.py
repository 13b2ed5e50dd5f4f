"""Balances and campaigns as they change, over real WebSockets."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from actors.auth.messages import Role
from gateway import live
from gateway.listener import ListenerSettings
from gateway.live import BEARER, GOING_AWAY, PROTOCOL, TOKEN_OVER, WATCHES_MAX
from gateway.problems import PROBLEM_JSON
from runtime import TerminateChild
from supervisors.application import EDGE
from tests.integration.gateway.helpers import (
    CUSTOMER,
    OTHER_CUSTOMER,
    PATIENCE_S,
    RIVAL,
    Api,
    eventually,
    new_key,
    running_tree,
)
from tests.integration.gateway.test_campaigns import DOUBLE

pytestmark = pytest.mark.slow

BOUND_S = 4.0
"""For those who say nothing. A machine that stands still as long looks like one of them."""

UPGRADE = (
    "GET /v1/live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
BALANCE = f"/v1/customers/{CUSTOMER}/balance"


@asynccontextmanager
async def watching(
    api: Api, *paths: str, token: str | None = None, hangs_up: bool = False, **options: Any
) -> AsyncIterator[WebSocketConnection]:
    """A client. Where it `hangs_up` it does not close its WebSocket in the end, during which
    trio-websocket's client cannot answer a ping, and breaks."""
    headers = [("Authorization", f"Bearer {token or api.token()}")]
    options.setdefault("extra_headers", headers)
    host = f"{api.address.host}:{api.address.port}"
    stream = await trio.open_tcp_stream(api.address.host, api.address.port)
    async with stream, trio.open_nursery() as nursery:  # a client that is sent away leaves it open
        socket = await wrap_client_stream(nursery, stream, host, live.PATH, **options)
        for path in paths:
            await say(socket, watch=path)
        yield socket
        if not hangs_up:
            await socket.aclose()
        nursery.cancel_scope.cancel()


async def say(socket: WebSocketConnection, **wish: str) -> None:
    await socket.send_message(json.dumps(wish))


async def heard(socket: WebSocketConnection) -> dict[str, Any]:
    with trio.fail_after(PATIENCE_S):
        message: dict[str, Any] = json.loads(await socket.get_message())
        return message


async def nothing_heard(socket: WebSocketConnection) -> None:
    with trio.move_on_after(2 * live.GAP_S) as scope:
        pytest.fail(f"{await socket.get_message()!r}")
    assert scope.cancelled_caught


async def closed_with(socket: WebSocketConnection) -> int:
    """The code that the connection ends with, after whatever is still told."""
    with trio.fail_after(PATIENCE_S):
        while socket.closed is None:
            with suppress(ConnectionClosed):
                await socket.get_message()
    return int(socket.closed.code)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running_tree(tmp_path) as running:
        yield running


async def test_a_balance_is_told_at_first_and_whenever_it_has_changed(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "REFRESH_S", 3_600.0)
    async with watching(api, BALANCE) as socket:
        first = await heard(socket)
        assert (first["path"], first["status"], first["body"]["posted"]) == (BALANCE, 200, 0)
        assert (await api.earn(40)).status_code == 200
        assert (await heard(socket))["body"]["posted"] == 40
        answers = [await api.earn(1) for _ in range(5)]
        assert {answer.status_code for answer in answers} == {200}
        told = [await heard(socket)]
        while told[-1]["body"]["posted"] < 45:
            told.append(await heard(socket))
        assert len(told) <= len(answers)
        transfer = {"from_customer_id": OTHER_CUSTOMER, "to_customer_id": CUSTOMER, "amount": 5}
        await api.earn(5, customer_id=OTHER_CUSTOMER)
        moved = await api.ask(
            "POST", "/v1/points/transfer", json=transfer | {"reason": "gift"}, key=new_key()
        )
        assert moved.status_code == 200, moved.text
        assert (await heard(socket))["body"]["posted"] == 50


async def test_what_nobody_told_of_is_found_by_looking_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "REFRESH_S", 0.1)
    monkeypatch.setattr(api.system.changes, "tell", lambda *name: None)
    async with watching(api, BALANCE) as socket:
        assert (await heard(socket))["body"]["posted"] == 0
        await nothing_heard(socket)
        await api.earn(40)
        assert (await heard(socket))["body"]["posted"] == 40


async def test_the_figures_of_a_campaign_are_told(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "REFRESH_S", 0.1)
    made = await api.ask("POST", "/v1/campaigns", json=DOUBLE, key=new_key())
    assert made.status_code == 201, made.text
    path = f"/v1/campaigns/{made.json()['campaign_id']}"
    async with watching(api, f"{path}/stats") as socket:
        assert (await heard(socket))["body"]["state"] == "draft"
        assert (await api.ask("POST", f"{path}/cancel")).status_code == 200
        assert (await heard(socket))["body"]["state"] == "cancelled"


async def test_a_path_is_left_when_that_is_wished(api: Api) -> None:
    async with watching(api, BALANCE) as socket:
        await heard(socket)
        await say(socket, unwatch=BALANCE)
        await eventually(lambda: _is(len(api.system.changes), 0))
        await api.earn(40)
        await nothing_heard(socket)


async def _is(value: object, wanted: object) -> bool:
    return value == wanted


async def test_nobody_watches_what_he_may_not_read(api: Api) -> None:
    other = f"/v1/customers/{OTHER_CUSTOMER}/balance"
    async with watching(api, BALANCE, other, token=api.token(Role.CUSTOMER)) as socket:
        answers = {one["path"]: one["status"] for one in [await heard(socket), await heard(socket)]}
        assert answers == {BALANCE: 200, other: 404}
    async with watching(api, BALANCE, token=api.token(merchant_id=RIVAL)) as socket:
        assert (await heard(socket))["status"] == 404
        await api.earn(40)
        await nothing_heard(socket)


async def test_what_makes_no_sense_is_told_and_the_connection_stays(api: Api) -> None:
    wrong: list[tuple[str | bytes, int]] = [
        ("no json", 422),
        ('{"watch": 1}', 422),
        ('{"look": "/v1"}', 422),
        (b"\xff", 422),
        ("", 422),
        ("x" * 5_000, 413),
        ('{"watch": "/v1/audit"}', 404),
        ('{"watch": "/v1/customers/ada/ledger"}', 404),
        ('{"watch": "//v1/live"}', 404),
        ('{"watch": "/v1/live"}', 404),
    ]
    with capture_logs() as logs:
        async with watching(api) as socket:
            for data, status in wrong:
                await socket.send_message(data)
                assert (await heard(socket))["status"] == status, data
            for number in range(WATCHES_MAX):
                await say(socket, watch=f"/v1/campaigns/c{number}/stats")
                assert (await heard(socket))["status"] == 404
            await say(socket, watch=BALANCE)
            assert (await heard(socket))["status"] == 200
    assert not [line for line in logs if line["log_level"] in {"error", "critical"}]


async def test_there_are_bounds_on_what_is_watched_and_by_how_many(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "WATCHES_MAX", 1)
    monkeypatch.setattr(live, "CONNECTIONS_MAX", 1)
    async with watching(api, BALANCE) as socket:
        await heard(socket)
        await say(socket, watch=f"/v1/customers/{OTHER_CUSTOMER}/balance")
        assert (await heard(socket))["code"] == "too_many_watches"
        assert await refused(api, Authorization=f"Bearer {api.token()}") == (
            503,
            "too_many_watchers",
        )
    registry = api.system.metrics.registry
    connections = partial(registry.get_sample_value, "loyalnest_live_connections")
    await eventually(lambda: _is(connections(), 0))
    async with watching(api, BALANCE) as socket:
        assert (await heard(socket))["status"] == 200


async def refused(api: Api, **headers: str) -> tuple[int, str]:
    """The status and the code that an upgrade is refused with."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    answer = await api.raw(UPGRADE.encode() + lines.encode() + b"\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["code"]


async def test_who_may_not_come_in_is_refused_with_a_problem(api: Api) -> None:
    token = f"Bearer {api.token()}"
    staff = f"Bearer {api.token(Role.PLATFORM)}"
    elsewhere = "https://elsewhere.example"
    assert await refused(api) == (401, "token_required")
    assert await refused(api, Authorization="Bearer nonsense") == (401, "invalid_token")
    assert await refused(api, Authorization=staff) == (403, "role_not_allowed")
    assert await refused(api, Authorization=token, Origin=elsewhere) == (403, "origin_not_allowed")
    plain = await api.ask("GET", live.PATH)
    assert (plain.status_code, plain.headers["content-type"]) == (400, PROBLEM_JSON)


async def test_a_page_sends_its_token_as_a_protocol(api: Api) -> None:
    offered = [PROTOCOL, BEARER + api.token()]
    own = [("Origin", api.address.url)]
    async with watching(api, BALANCE, subprotocols=offered, extra_headers=own) as socket:
        assert socket.subprotocol == PROTOCOL
        assert (await heard(socket))["status"] == 200


async def test_a_connection_that_says_nothing_stays_while_its_client_answers_pings(
    tmp_path: Path,
) -> None:
    short = ListenerSettings(
        drain_s=1.0,
        head_timeout_s=BOUND_S,
        keep_alive_timeout_s=BOUND_S,
        read_timeout_s=BOUND_S,
        websocket_ping_interval_s=BOUND_S / 8,
    )
    async with (
        running_tree(tmp_path, listener=short) as api,
        watching(api, BALANCE, hangs_up=True) as socket,
    ):
        await heard(socket)
        with trio.move_on_after(1.25 * BOUND_S):
            pytest.fail(f"{await socket.get_message()!r}")
        await api.earn(40)
        assert (await heard(socket))["body"]["posted"] == 40


async def test_a_token_that_ends_ends_the_connection(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "REFRESH_S", 0.1)
    async with watching(api, BALANCE, token=api.token(ttl_s=600)) as socket:
        assert (await heard(socket))["status"] == 200
        later = api.system.clock.now() + timedelta(seconds=601)
        monkeypatch.setattr(api.system, "clock", type("Later", (), {"now": lambda _self: later})())
        assert await closed_with(socket) == TOKEN_OVER


async def test_a_gateway_that_stops_sends_its_watchers_away(tmp_path: Path) -> None:
    async with (
        running_tree(tmp_path, listener=ListenerSettings(drain_s=5.0)) as api,
        watching(api, BALANCE) as socket,
        trio.open_nursery() as nursery,
    ):
        await heard(socket)
        nursery.start_soon(api.system.ref(EDGE).ask, TerminateChild("listener"))
        assert await closed_with(socket) == GOING_AWAY
        nursery.cancel_scope.cancel()
