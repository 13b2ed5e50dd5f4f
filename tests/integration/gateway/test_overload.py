"""Overload, seen by clients of a real listener: who is let in, who waits, who is turned away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import h2.connection
import h2.events
import pytest
import trio
from structlog.testing import capture_logs

from actors.core.messages import QUERIES as CORE_QUERIES
from gateway.listener import ListenerSettings
from gateway.messages import LISTENER, GetListenerStatistics, GetShedding, SwitchShedding
from runtime import Actor
from runtime.policies import (
    GradientSpec,
    Priority,
    SheddingMode,
    SheddingSpec,
    SheddingStatistics,
)
from tests.integration.gateway.helpers import (
    PATIENCE_S,
    Api,
    eventually,
    patient_settings,
    running_stubs,
    stub,
)

pytestmark = pytest.mark.slow

READS = 3
"""Of a limit of four, reads may use three quarters."""

ORDER = "/v1/orders/none"
PROBE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
WRITE = b"POST /v1/customers HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


@attrs.define
class Gate:
    """A domain that answers (that there is no such order) when the test lets it."""

    asked: int = 0
    open: trio.Event = attrs.field(factory=trio.Event)

    async def answer(self, _actor: Actor, _message: Any) -> None:
        self.asked += 1
        await self.open.wait()


@attrs.define
class Client:
    """One connection, one request after the other."""

    stream: trio.SocketStream
    received: bytes = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def answer(self) -> tuple[int, bytes]:
        """Status, and the whole answer."""
        with trio.fail_after(PATIENCE_S):
            while (end := self._end()) is None:
                data = await self.stream.receive_some()
                assert data, f"the connection ended after {self.received!r}"
                self.received += data
        answer, self.received = self.received[:end], self.received[end:]
        return int(answer[9:12]), answer

    def _end(self) -> int | None:
        head_end = self.received.find(b"\r\n\r\n")
        if head_end < 0:
            return None
        length = self.received[:head_end].lower().partition(b"\r\ncontent-length: ")[2]
        end = head_end + 4 + int(length.partition(b"\r\n")[0])
        return end if len(self.received) >= end else None

    async def ask(self, data: bytes) -> tuple[int, bytes]:
        await self.send(data)
        return await self.answer()

    async def ended(self) -> bool:
        """Whether the server closes the connection, in time."""
        with trio.fail_after(PATIENCE_S):
            return not await self.stream.receive_some()


@attrs.define
class Overloaded:
    """A gateway that works on few requests at a time, and a domain that holds them up."""

    api: Api
    gate: Gate
    nursery: trio.Nursery
    statuses: list[int] = attrs.field(factory=list)

    async def client(self) -> Client:
        return Client(await trio.open_tcp_stream(self.api.address.host, self.api.address.port))

    def read(self) -> bytes:
        token = self.api.token()
        return f"GET {ORDER} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()

    async def fill(self, count: int = READS) -> None:
        """Requests that the domain holds up; their statuses come when the gate is open."""
        before = (await self.statistics()).in_flight
        for _ in range(count):
            self.nursery.start_soon(self._held_up)

        async def all_in() -> bool:
            return (await self.statistics()).in_flight == before + count

        await eventually(all_in)

    async def _held_up(self) -> None:
        self.statuses.append((await self.api.ask("GET", ORDER)).status_code)

    async def statistics(self) -> SheddingStatistics:
        return await self.api.system.ref(LISTENER).ask(GetShedding())

    async def in_flight(self, count: int) -> None:
        async def reached() -> bool:
            return (await self.statistics()).in_flight == count

        await eventually(reached)

    async def answered(self, count: int) -> None:
        """So many of those that were held up have heard of it."""

        async def reached() -> bool:
            return len(self.statuses) == count

        await eventually(reached)

    async def waiting(self, count: int) -> None:
        async def reached() -> bool:
            return (await self.statistics()).waiting == count

        await eventually(reached)


@asynccontextmanager
async def overloaded(tmp_path: Path, **spec: Any) -> AsyncIterator[Overloaded]:
    """At most four at a time, on the busiest machine; nobody waits, unless `spec` says so."""
    fixed = GradientSpec(limit_min=4, limit_start=4, limit_max=4)
    options = {"waiting_max": 0, "group_share": 1.0, "lag_max_s": 60.0} | spec
    shedding = SheddingSpec(gradient=fixed, **options)
    gate = Gate()
    async with (
        running_stubs(
            tmp_path,
            [stub(CORE_QUERIES, gate.answer)],
            patient_settings(shedding=shedding, shedding_mode=SheddingMode.AUTOMATIC),
            ListenerSettings(
                drain_s=1.0,
                connections_max=20,
                head_timeout_s=PATIENCE_S,
                keep_alive_timeout_s=PATIENCE_S,
            ),
        ) as api,
        trio.open_nursery() as nursery,
    ):
        yield Overloaded(api, gate, nursery)
        gate.open.set()


async def test_a_request_without_room_is_told_when_to_come_back_and_keeps_its_connection(
    tmp_path: Path,
) -> None:
    async with overloaded(tmp_path) as edge:
        await edge.fill()
        async with (await edge.client()).stream as stream:
            client = Client(stream)
            for _ in range(3):
                status, answer = await client.ask(edge.read())
                assert status == 503
                assert b'"code":"overloaded"' in answer
                assert b"\r\nretry-after: " in answer
                assert b"content-type: application/problem+json" in answer
            edge.gate.open.set()
            await edge.in_flight(0)
            status, answer = await client.ask(edge.read())
            assert status == 404
            assert b'"code":"not_found"' in answer
            await edge.answered(READS)
        assert edge.statuses == [404] * READS
        assert edge.gate.asked == READS + 1


async def test_a_connection_that_was_served_before_is_refused_and_served_again(
    tmp_path: Path,
) -> None:
    async with overloaded(tmp_path) as edge:
        client = await edge.client()
        async with client.stream:
            assert (await client.ask(PROBE))[0] == 200
            await edge.fill()
            assert [(await client.ask(edge.read()))[0] for _ in range(2)] == [503, 503]
            assert (await client.ask(PROBE))[0] == 200
            edge.gate.open.set()
            await edge.in_flight(0)
            assert (await client.ask(edge.read()))[0] == 404


async def test_who_asks_for_the_end_of_the_connection_gets_it_with_the_refusal(
    tmp_path: Path,
) -> None:
    async with overloaded(tmp_path) as edge:
        await edge.fill()
        for served_before in (False, True):
            client = await edge.client()
            async with client.stream:
                if served_before:
                    await client.ask(PROBE)
                last = edge.read().replace(b"Host: x", b"Host: x\r\nConnection: close")
                status, answer = await client.ask(last)
                assert status == 503
                assert b"connection: close" in answer.lower()
                assert await client.ended()


async def test_probes_are_answered_and_writes_go_before_reads(tmp_path: Path) -> None:
    async with overloaded(tmp_path, shares=dict.fromkeys(Priority, 0.75)) as edge:
        await edge.fill()
        client = await edge.client()
        async with client.stream:
            assert (await client.ask(WRITE))[0] == 503
            for _ in range(20):
                assert (await client.ask(PROBE))[0] == 200
    async with overloaded(tmp_path) as edge:
        await edge.fill()
        assert (await edge.api.ask("GET", ORDER)).json()["code"] == "overloaded"
        assert (await edge.api.ask("GET", "/metrics")).json()["code"] == "overloaded"
        write = await edge.api.ask("POST", "/v1/customers", json={"customer_id": "eve"})
        assert write.json()["code"] == "unavailable", "let in, though nobody is there to answer"


async def test_a_request_waits_a_moment_for_room(tmp_path: Path) -> None:
    async with overloaded(tmp_path, waiting_max=1, wait_s=PATIENCE_S) as edge:
        await edge.fill()
        client = await edge.client()
        async with client.stream:
            await client.send(edge.read())
            await edge.waiting(1)
            edge.gate.open.set()
            assert (await client.answer())[0] == 404


async def test_who_waits_in_vain_is_refused_in_time(tmp_path: Path) -> None:
    async with overloaded(tmp_path, waiting_max=1, wait_s=0.1) as edge:
        await edge.fill()
        client = await edge.client()
        async with client.stream:
            began = trio.current_time()
            assert (await client.ask(edge.read()))[0] == 503
            assert trio.current_time() - began >= 0.1


async def test_a_client_that_goes_away_leaves_the_queue(tmp_path: Path) -> None:
    async with overloaded(tmp_path, waiting_max=1, wait_s=60.0) as edge:
        await edge.fill()
        client = await edge.client()
        await client.send(edge.read())
        await edge.waiting(1)
        await client.stream.aclose()
        await edge.waiting(0)
        edge.gate.open.set()
        await edge.in_flight(0)
        assert edge.gate.asked == READS


async def test_requests_in_pieces_are_refused_or_served_as_others_are(tmp_path: Path) -> None:
    async with overloaded(tmp_path) as edge:
        await edge.fill()
        client = await edge.client()
        async with client.stream:
            for piece in (edge.read()[:10], edge.read()[10:-2]):
                await client.send(piece)
                await trio.sleep(0.02)
            await client.send(edge.read()[-2:])
            assert (await client.answer())[0] == 503
            await client.send(edge.read()[:40])
            await trio.sleep(0.2)
            edge.gate.open.set()
            await edge.in_flight(0)
            await client.send(edge.read()[40:])
            assert (await client.answer())[0] == 404


async def test_of_requests_sent_together_each_finds_room_or_not(tmp_path: Path) -> None:
    async with overloaded(tmp_path) as edge:
        await edge.fill(READS - 1)
        client = await edge.client()
        async with client.stream:
            await client.send(PROBE + edge.read() + PROBE)
            assert (await client.answer())[0] == 200
            await edge.in_flight(READS)
            await edge.fill(0)
            edge.gate.open.set()
            assert [(await client.answer())[0] for _ in range(2)] == [404, 200]
    async with overloaded(tmp_path) as edge:
        await edge.fill()
        client = await edge.client()
        async with client.stream:
            await client.send(PROBE + edge.read() + PROBE)
            assert [(await client.answer())[0] for _ in range(3)] == [200, 503, 200]


async def test_what_the_door_does_not_understand_is_refused_by_the_application(
    tmp_path: Path,
) -> None:
    async with overloaded(tmp_path) as edge:
        await edge.fill()
        client = await edge.client()
        async with client.stream:
            old = edge.read().replace(b"HTTP/1.1", b"HTTP/1.0")
            status, answer = await client.ask(old)
            assert status == 503
            assert b'"code":"overloaded"' in answer


async def test_a_large_body_is_refused_before_it_has_come(tmp_path: Path) -> None:
    async with overloaded(tmp_path, shares=dict.fromkeys(Priority, 0.75)) as edge:
        await edge.fill()
        client = await edge.client()
        async with client.stream:
            head = b"POST /v1/customers HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n"
            await client.send(head + b"x" * 40_000)
            assert (await client.answer())[0] == 503


async def test_a_body_that_comes_slowly_takes_no_room(tmp_path: Path) -> None:
    async with overloaded(tmp_path) as edge:
        token = edge.api.token()
        slow = [await edge.client() for _ in range(6)]
        for client in slow:
            head = "POST /v1/customers HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            head += f"Authorization: Bearer {token}\r\nContent-Length: 100\r\n\r\n{{"
            await client.send(head.encode())
        await trio.sleep(0.3)
        assert (await edge.statistics()).in_flight == 0
        edge.gate.open.set()
        assert (await edge.api.ask("GET", ORDER)).status_code == 404
        for client in slow:
            await client.stream.aclose()


async def test_requests_of_http2_are_refused_one_by_one(tmp_path: Path) -> None:
    async with overloaded(tmp_path) as edge:
        await edge.fill()
        connection = h2.connection.H2Connection()
        connection.initiate_connection()
        for stream_id, path in ((1, ORDER), (3, "/health/live")):
            head = [(":method", "GET"), (":path", path), (":scheme", "http")]
            token = ("authorization", f"Bearer {edge.api.token()}")
            connection.send_headers(stream_id, [*head, (":authority", "x"), token], True)
        client = await edge.client()
        statuses: dict[int, bytes] = {}
        async with client.stream:
            await client.send(connection.data_to_send())
            with trio.fail_after(PATIENCE_S):
                while len(statuses) < 2:
                    for event in connection.receive_data(await client.stream.receive_some()):
                        if isinstance(event, h2.events.ResponseReceived):
                            statuses[event.stream_id] = dict(event.headers)[b":status"]
        assert statuses == {1: b"503", 3: b"200"}


async def test_a_probe_is_answered_although_too_many_connections_are_open(tmp_path: Path) -> None:
    async with overloaded(tmp_path) as edge:
        crowd = [await edge.client() for _ in range(20)]
        for client in crowd:
            await client.ask(PROBE)
        more = await edge.client()
        async with more.stream:
            assert (await more.ask(PROBE))[0] == 200
            assert await more.ended(), "it stays no longer than that"
        other = await edge.client()
        async with other.stream:
            status, answer = await other.ask(edge.read())
            assert status == 503
            assert b'"code":"too_many_connections"' in answer
            assert await other.ended()
        for client in crowd:
            await client.stream.aclose()


async def test_a_request_that_has_just_been_sent_is_answered_when_the_gateway_stops(
    tmp_path: Path,
) -> None:
    async with running_stubs(tmp_path, (), listener=ListenerSettings(drain_s=PATIENCE_S)) as api:
        where = api.address.host, api.address.port
        silent, asking = [Client(await trio.open_tcp_stream(*where)) for _ in range(2)]
        await asking.send(PROBE)
    async with silent.stream, asking.stream:
        assert (await asking.answer())[0] == 200
        assert await silent.ended()


async def test_a_connection_that_sends_nothing_is_closed_in_time(tmp_path: Path) -> None:
    listener = ListenerSettings(head_timeout_s=0.1, keep_alive_timeout_s=60.0, drain_s=1.0)
    async with running_stubs(tmp_path, (), listener=listener) as api:
        silent = Client(await trio.open_tcp_stream(api.address.host, api.address.port))
        async with silent.stream:
            assert await silent.ended()

        async def gone() -> bool:
            found = await api.system.ref(LISTENER).ask(GetListenerStatistics())
            return (found.accepted, found.connections) == (1, 0)

        await eventually(gone)


async def test_an_operator_turns_priorities_away_and_disables_shedding(tmp_path: Path) -> None:
    async with overloaded(tmp_path) as edge:
        listener = edge.api.system.ref(LISTENER)
        edge.gate.open.set()
        by_hand = SwitchShedding(SheddingMode.AUTOMATIC, frozenset({Priority.READS}))
        assert (await listener.ask(by_hand)).shed_by_hand == {Priority.READS}
        answer = await edge.api.ask("GET", ORDER)
        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
        assert int(answer.headers["retry-after"]) >= 10
        assert (await edge.api.ask("GET", "/docs")).status_code == 200
        edge.gate.open = trio.Event()
        assert (await listener.ask(SwitchShedding(SheddingMode.DISABLED))).shed_by_hand == set()
        await edge.fill(10)


async def test_every_refusal_is_counted_and_the_log_has_two_lines_of_an_overload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.overload.OVER_AFTER_S", PATIENCE_S)
    async with overloaded(tmp_path) as edge:
        registry = edge.api.system.metrics.registry

        def counted(name: str, **labels: str) -> float:
            return registry.get_sample_value(f"loyalnest_{name}", labels) or 0.0

        await edge.fill()
        with capture_logs() as logs:
            for _ in range(7):
                await edge.api.ask("GET", ORDER)

            async def begun() -> bool:
                return any(line["event"] == "shedding_load" for line in logs)

            await eventually(begun)
            monkeypatch.setattr("gateway.overload.OVER_AFTER_S", 0.0)

            async def over() -> bool:
                return any(line["event"] == "shedding_over" for line in logs)

            await eventually(over)
        assert counted("requests_shed_total", priority="reads") == 7
        refused = {"domain": "unmatched", "route": "unmatched", "method": "GET", "code": "503"}
        assert counted("http_requests_total", **refused) == 7
        assert counted("requests_concurrency_limit") == 4
        lines = [line for line in logs if line["event"].startswith("shedding_")]
        assert [line["event"] for line in lines] == ["shedding_load", "shedding_over"]
        assert lines[1]["requests"] == 7
