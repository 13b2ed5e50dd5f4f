"""The door by itself: without file descriptors, without time for refusals, and at its end."""

import errno
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from random import Random

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gateway import door as door_module
from gateway.door import Door
from gateway.priorities import Priorities
from gateway.routes import Answer, ApiRequest, Route
from gateway.visitors import Visitor
from runtime.policies import GradientSpec, LoadShedder, Priority, SheddingSpec
from runtime.policies.shedding import Permit

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
PROBE = REQUEST.replace(b"/ ", b"/health/live ")
LIMIT_S = 60.0
REST_S = 0.2


async def never(_request: ApiRequest) -> Answer:
    raise AssertionError("nobody is asked")


PROBED = Route(
    method="GET",
    path="/health/live",
    handler=never,
    summary="A probe",
    responses={},
    tag="Health",
    priority=Priority.PROBES,
)


@attrs.define
class House:
    """Says who came, and answers nobody."""

    visitors: list[Visitor] = attrs.field(factory=list)
    refused: list[bytes] = attrs.field(factory=list)
    changed: trio.Event = attrs.field(factory=trio.Event)
    entered: trio.Event = attrs.field(factory=trio.Event)
    full: bool = False

    def arrived(self, visitor: Visitor) -> bool:
        self.visitors.append(visitor)
        self._tell()
        return not self.full

    def enter(self, visitor: Visitor) -> None:
        assert visitor.permit is not None
        assert visitor.permit.priority is Priority.PROBES
        self.entered.set()

    def left(self, visitor: Visitor) -> None:
        self.visitors.remove(visitor)
        self._tell()

    def _tell(self) -> None:
        self.changed.set()
        self.changed = trio.Event()

    def turned_away(self, method: bytes) -> None:
        self.refused.append(method)
        self._tell()


class Exhausted(socket.socket):
    """Accepts nobody at first, as if the process had no file descriptors left."""

    attempts = 0

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        self.attempts += 1
        if self.attempts == 1:
            raise OSError(errno.EMFILE, "Too many open files")
        accepted: tuple[socket.socket, tuple[str, int]] = super().accept()
        return accepted


@attrs.define
class Running:
    door: Door
    house: House
    listening: Exhausted
    permits: list[Permit]

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.listening.getsockname()[1])

    async def arrivals(self, count: int) -> None:
        with trio.fail_after(LIMIT_S):
            while len(self.house.visitors) != count:
                await self.house.changed.wait()

    async def refusals(self, count: int) -> None:
        """Those so far. Not one more than these."""
        with trio.fail_after(LIMIT_S):
            while len(self.house.refused) < count:
                await self.house.changed.wait()
        assert len(self.house.refused) == count

    def client(self) -> socket.socket:
        """One that sends at once: nobody else has a turn meanwhile."""
        return socket.create_connection(("127.0.0.1", self.listening.getsockname()[1]))

    @asynccontextmanager
    async def clients(self, count: int) -> AsyncIterator[list[socket.socket]]:
        """Several that have been seen to come."""
        with ExitStack() as stack:
            clients = [stack.enter_context(self.client()) for _ in range(count)]
            await self.arrivals(count)
            yield clients


@asynccontextmanager
async def running() -> AsyncIterator[Running]:
    """A door to a house that is full."""
    fixed = GradientSpec(limit_min=1, limit_start=1, limit_max=1)
    shedder = LoadShedder("edge", SheddingSpec(gradient=fixed, waiting_max=0), Random(1))
    permit = shedder.try_admit(Priority.WEBHOOKS)
    assert permit is not None
    house = House()
    door = Door(house, Priorities((PROBED,)), shedder, head_s=60.0, idle_s=60.0)
    listening = Exhausted(fileno=socket.create_server(("127.0.0.1", 0)).detach())
    listening.setblocking(False)
    door.open([listening])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(door.run)
        yield Running(door, house, listening, [permit])
        nursery.cancel_scope.cancel()
    door.close()
    assert not house.visitors


async def test_without_file_descriptors_it_pauses_and_accepts_later() -> None:
    async with running() as there:
        stream = await there.connect()
        async with stream:
            await there.arrivals(1)
        assert there.listening.attempts >= 2
        await there.arrivals(0)


async def test_after_refusals_it_rests_so_that_there_is_time_to_serve(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door_module, "REFUSING_SHARE", 1e-9)
    monkeypatch.setattr(door_module, "REST_MAX_S", REST_S)
    async with running() as there:
        first, second = await there.connect(), await there.connect()
        await there.arrivals(2)
        async with first, second:
            with trio.fail_after(LIMIT_S):
                sent_at = trio.current_time()
                await first.send_all(REQUEST)
                assert b" 503 " in await first.receive_some()
                await second.send_all(REQUEST)
                assert b" 503 " in await second.receive_some()
                assert trio.current_time() - sent_at >= REST_S / 2
        assert there.house.refused == [b"GET", b"GET"]


async def test_a_look_is_at_a_part_of_the_connections_and_at_all_who_have_just_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door_module, "LOOKED_AT_ONCE", 2)
    monkeypatch.setattr(door_module, "REFUSING_SHARE", 1e-9)
    monkeypatch.setattr(door_module, "REST_MAX_S", 10 * REST_S)
    async with running() as there, there.clients(4) as clients:
        for client in clients:
            client.sendall(REQUEST)
        await there.refusals(2)
        with there.client() as probe, trio.fail_after(LIMIT_S):
            probe.sendall(PROBE)
            await there.house.entered.wait()
            there.house.visitors[-1].close()
        await there.refusals(4)


async def test_nobody_waits_longer_for_a_turn_than_a_round_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door_module, "LOOKED_AT_ONCE", 1)
    monkeypatch.setattr(door_module, "REFUSING_SHARE", 1e-9)
    monkeypatch.setattr(door_module, "REST_MAX_S", 60.0)
    monkeypatch.setattr(door_module, "ROUND_S", REST_S)
    async with running() as there, there.clients(5) as clients:
        for client in clients:
            client.sendall(REQUEST)
        await there.refusals(5)


async def test_of_too_many_who_say_nothing_the_first_to_come_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door_module, "SURPLUS_MAX", 1)
    async with running() as there:
        there.house.full = True
        first = await there.connect()
        await there.arrivals(1)
        second = await there.connect()
        with trio.fail_after(LIMIT_S):
            assert not await first.receive_some()
            await second.send_all(PROBE)
            await there.house.entered.wait()
        await first.aclose()
        there.house.visitors[0].close()
        await second.aclose()


async def test_the_end_of_accepting_closes_those_whom_nobody_serves() -> None:
    async with running() as there:
        stream = await there.connect()
        await there.arrivals(1)
        there.door.close_entrances()
        await wait_all_tasks_blocked()
        async with stream:
            with trio.fail_after(LIMIT_S):
                assert not await stream.receive_some()
