"""The door by itself: without file descriptors, without time for refusals, and at its end."""

import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gateway import door as door_module
from gateway.door import Door
from gateway.priorities import Priorities
from gateway.visitors import Visitor
from runtime.policies import GradientSpec, LoadShedder, Priority, SheddingSpec
from runtime.policies.shedding import Permit

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LIMIT_S = 5.0
REST_S = 0.2


@attrs.define
class House:
    """Says who came, and answers nobody."""

    visitors: list[Visitor] = attrs.field(factory=list)
    refused: list[bytes] = attrs.field(factory=list)
    changed: trio.Event = attrs.field(factory=trio.Event)

    def arrived(self, visitor: Visitor) -> bool:
        self.visitors.append(visitor)
        self._tell()
        return True

    def enter(self, visitor: Visitor) -> None:
        raise AssertionError("nobody is let in")

    def left(self, visitor: Visitor) -> None:
        self.visitors.remove(visitor)
        self._tell()

    def _tell(self) -> None:
        self.changed.set()
        self.changed = trio.Event()

    def turned_away(self, method: bytes) -> None:
        self.refused.append(method)


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


@asynccontextmanager
async def running() -> AsyncIterator[Running]:
    """A door to a house that is full."""
    fixed = GradientSpec(limit_min=1, limit_start=1, limit_max=1)
    shedder = LoadShedder("edge", SheddingSpec(gradient=fixed, waiting_max=0), Random(1))
    permit = shedder.try_admit(Priority.WEBHOOKS)
    assert permit is not None
    house = House()
    door = Door(house, Priorities(()), shedder, head_s=60.0, idle_s=60.0)
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
                await first.send_all(REQUEST)
                assert b" 503 " in await first.receive_some()
                refused_at = trio.current_time()
                await second.send_all(REQUEST)
                assert b" 503 " in await second.receive_some()
                assert trio.current_time() - refused_at >= REST_S / 2
        assert there.house.refused == [b"GET", b"GET"]


async def test_the_end_of_accepting_closes_those_whom_nobody_serves() -> None:
    async with running() as there:
        stream = await there.connect()
        await there.arrivals(1)
        there.door.close_entrances()
        await wait_all_tasks_blocked()
        async with stream:
            with trio.fail_after(LIMIT_S):
                assert not await stream.receive_some()
