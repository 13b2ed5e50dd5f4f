"""The virtual network between shards: links that take time, break, and are silent at times."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import attrs
import trio

from runtime.links import LinkTransport, Serve, TransportClosed
from runtime.parking import monotonic
from runtime.sim.chance import Luck

LINK_S: Final = (0.0002, 0.003)
SLOW_LINK_S: Final = (0.05, 4.0)
"""One way. Frames keep their order, so what is slow holds up all that comes behind it."""

BUFFER_BYTES: Final = 256 * 1024
"""What a direction holds before who sends has to wait."""

EVERYBODY: Final = "*"


@attrs.frozen
class Node:
    """A process on the network. `shard` is what it is, also when there are two of them."""

    name: str
    shard: str

    def named(self, name: str) -> bool:
        return name in (EVERYBODY, self.name, self.shard)


class VirtualNetwork:
    """All links of a world.

    What is *silent* between two nodes, one way or both, arrives when it has healed, if the link
    is still there then: TCP repeats what got lost. A link that is *cut* ends for both sides, and
    what was on its way is gone. Nodes are named by process or by shard.
    """

    def __init__(self, luck: Luck) -> None:
        self.luck = luck
        self._listeners: dict[str, Listening] = {}
        self._cables: dict[Cable, None] = {}
        self._silent: dict[tuple[str, str], None] = {}
        self._refusing = False

    def node(self, name: str, shard: str | None = None) -> ProcessNetwork:
        """The network as one process uses it."""
        return ProcessNetwork(self, Node(name, shard if shard is not None else name))

    # Faults

    def silence(self, source: str, destination: str) -> None:
        """Nothing that one of them sends reaches the other, from now on."""
        self._silent[(source, destination)] = None

    def partition(self, one: str, other: str) -> None:
        """Silence in both directions."""
        self.silence(one, other)
        self.silence(other, one)

    def join(self, one: str, other: str) -> None:
        """The end of a partition."""
        self.hear(one, other)
        self.hear(other, one)

    def hear(self, source: str, destination: str) -> None:
        """The end of a silence."""
        self._silent.pop((source, destination), None)
        self._wake()

    def cut(self, one: str = EVERYBODY, other: str = EVERYBODY) -> None:
        """Break the links between them that there are."""
        for cable in tuple(self._cables):
            if cable.joins(one, other):
                cable.cut()

    def refuse(self, refusing: bool) -> None:
        """Whether new links are refused."""
        self._refusing = refusing

    def heal(self) -> None:
        self._silent.clear()
        self._refusing = False
        self._wake()

    def _wake(self) -> None:
        for cable in self._cables:
            cable.wake()

    def hears(self, destination: Node, source: Node) -> bool:
        return not any(
            source.named(one) and destination.named(other) for one, other in self._silent
        )

    # Links

    async def connected(self, node: Node, address: str) -> Cable:
        """A new link. Raises `TransportClosed` where nobody listens; waits where it is silent."""
        await self.luck.takes(*LINK_S)
        there = self._listeners.get(address)
        if there is not None and not (
            self.hears(there.node, node) and self.hears(node, there.node)
        ):
            await trio.sleep_forever()
        if there is None or self._refusing or there.room.value == 0:
            raise TransportClosed(f"{address} refuses the connection")
        cable = Cable(self, node, there.node)
        self._cables[cable] = None
        self.luck.trace.note("link", node.name, there.node.name)
        there.take(cable)
        return cable

    def listen(self, address: str, listening: Listening) -> None:
        self._listeners[address] = listening

    def unlisten(self, address: str, listening: Listening) -> None:
        if self._listeners.get(address) is listening:
            del self._listeners[address]

    def forget(self, cable: Cable) -> None:
        self._cables.pop(cable, None)


@attrs.define(eq=False)
class Listening:
    """A process that listens at an address."""

    node: Node
    serve: Serve
    nursery: trio.Nursery
    room: trio.Semaphore

    def take(self, cable: Cable) -> None:
        self.room.acquire_nowait()
        self.nursery.start_soon(self._serve, cable.there)

    async def _serve(self, transport: VirtualTransport) -> None:
        try:
            await self.serve(transport)
        finally:
            self.room.release()
            await transport.aclose()


class ProcessNetwork:
    """The `LinkNetwork` of one process: any text is an address."""

    def __init__(self, network: VirtualNetwork, node: Node) -> None:
        self._network = network
        self._node = node

    @asynccontextmanager
    async def connect(
        self, address: str, *, message_bytes_max: int
    ) -> AsyncIterator[LinkTransport]:
        cable = await self._network.connected(self._node, address)
        cable.here.bytes_max = message_bytes_max
        try:
            yield cable.here
        finally:
            await cable.here.aclose()

    async def listen(
        self,
        address: str,
        serve: Serve,
        *,
        message_bytes_max: int,
        connections_max: int,
        task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        async def serve_bounded(transport: LinkTransport) -> None:
            if isinstance(transport, VirtualTransport):
                transport.bytes_max = message_bytes_max
            await serve(transport)

        async with trio.open_nursery() as nursery:
            room = trio.Semaphore(connections_max)
            listening = Listening(self._node, serve_bounded, nursery, room)
            self._network.listen(address, listening)
            task_status.started(address)
            try:
                await trio.sleep_forever()
            finally:
                self._network.unlisten(address, listening)


class Cable:
    """One link: two ends, and what is on its way in either direction."""

    def __init__(self, network: VirtualNetwork, one: Node, other: Node) -> None:
        self._network = network
        self.one, self.other = one, other
        there, back = Direction(network, one, other), Direction(network, other, one)
        self.here = VirtualTransport(self, there, back)
        self.there = VirtualTransport(self, back, there)
        self._directions = (there, back)

    def joins(self, one: str, other: str) -> bool:
        return (self.one.named(one) and self.other.named(other)) or (
            self.one.named(other) and self.other.named(one)
        )

    def cut(self) -> None:
        for direction in self._directions:
            direction.cut()
        self._network.luck.trace.note("link cut", self.one.name, self.other.name)
        self._network.forget(self)

    def unlucky(self) -> bool:
        """Whether it breaks now, by chance."""
        if self._network.luck.happens("link_cut"):
            self.cut()
            return True
        return False

    def closed(self) -> None:
        """One end has closed it."""
        if all(direction.over for direction in self._directions):
            self._network.forget(self)

    def wake(self) -> None:
        for direction in self._directions:
            direction.changed()


class Direction:
    """What one node sends another. `over`: nothing more can be sent. `broken`: nothing more can be
    received."""

    def __init__(self, network: VirtualNetwork, source: Node, destination: Node) -> None:
        self._network = network
        self._source, self._destination = source, destination
        self._way: deque[tuple[float, bytes | None]] = deque()
        self._bytes = 0
        self._last_at = 0.0
        self._lot = trio.lowlevel.ParkingLot()
        self.over = False
        self.broken = False
        self._deaf = False

    def put(self, data: bytes | None) -> None:
        if self._deaf:
            return
        luck = self._network.luck
        slow = data is not None and luck.happens("link_slow")
        takes_s = luck.random.uniform(*(SLOW_LINK_S if slow else LINK_S))
        self._last_at = max(self._last_at, monotonic() + takes_s)
        self._way.append((self._last_at, data))
        self._bytes += len(data or b"")
        self.changed()

    @property
    def full(self) -> bool:
        return self._bytes >= BUFFER_BYTES

    def cut(self) -> None:
        self.broken = self.over = True
        self._way.clear()
        self.changed()

    def close(self) -> None:
        """Who sends here has closed it: who receives finds out behind what is on its way."""
        if not self.over:
            self.put(None)
            self.over = True
            self.changed()

    def deafen(self) -> None:
        """Who receives here has closed it: what is sent gets lost."""
        self._deaf = self.broken = True
        self._way.clear()
        self._bytes = 0
        self.changed()

    def changed(self) -> None:
        self._lot.unpark_all()

    async def change(self) -> None:
        await self._lot.park()

    async def take(self) -> bytes:
        while not self.broken:
            at = self._way[0][0] if self._way else float("inf")
            if not self._network.hears(self._destination, self._source):
                at = float("inf")
            if at <= monotonic():
                _, data = self._way.popleft()
                if data is None:
                    self.broken = True
                    break
                self._bytes -= len(data)
                self.changed()
                return data
            with trio.move_on_at(at):
                await self.change()
        raise TransportClosed("the link has ended")


class VirtualTransport:
    """One end of a link. See `LinkTransport`."""

    def __init__(self, cable: Cable, out: Direction, back: Direction) -> None:
        self._cable, self._out, self._back = cable, out, back
        self.bytes_max = 1 << 20

    async def send(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        while self._out.full and not self._out.over:
            await self._out.change()
        if self._out.over:
            raise TransportClosed("the link has ended")
        if self._cable.unlucky():
            raise TransportClosed("the link was cut")
        self._out.put(data)

    async def receive(self) -> bytes:
        await trio.lowlevel.checkpoint()
        data = await self._back.take()
        if len(data) > self.bytes_max:
            await self.aclose()
            raise TransportClosed(f"{len(data)} bytes are too many")
        return data

    async def aclose(self) -> None:
        self._out.close()
        self._back.deafen()
        self._cable.closed()
