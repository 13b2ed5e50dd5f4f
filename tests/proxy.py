"""A TCP proxy of ours in front of a server: it can delay, go silent, strand and cut connections.

It runs in a thread of its own, on an event loop of its own, so that a test whose loop is blocked
does not stop it. Its controls may be used from any thread.
"""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from enum import Enum
from random import Random
from typing import TypeVar

import attrs
import trio

MAX_CONNECTIONS = 512
"""One more is reset as soon as it is accepted."""

CHUNK_BYTES = 64 * 1024
CHUNKS_UNDER_WAY = 64
"""Chunks of one direction of a connection that are delayed at a time."""

BACKLOG = 128
CONTROL_TIMEOUT_S = 60.0
RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Result = TypeVar("Result")

Upstream = str | tuple[str, int]
"""The path of a unix socket, or host and port."""

Pipe = tuple[trio.SocketStream, trio.SocketStream]
"""Where bytes come from, and where they go."""


class Direction(Enum):
    """Which way bytes flow."""

    TO_SERVER = "to_server"
    TO_CLIENT = "to_client"


BOTH_WAYS = frozenset(Direction)


@attrs.frozen
class ProxyStatistics:
    """What went through so far. `open` connections have been accepted and not ended, `trapped` is
    how often one was reset at a text."""

    accepted: int
    open: int
    bytes_to_server: int
    bytes_to_client: int
    trapped: int = 0


@attrs.frozen
class _Trap:
    """Snaps at a chunk to the server with `text` in it, which may still be delivered."""

    text: bytes
    deliver: bool


@attrs.define(eq=False)
class _Connection:
    """One accepted connection; `scope` ends it."""

    client: trio.SocketStream
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    stranded: bool = False


@attrs.define(eq=False)
class Proxy:
    """Listens on 127.0.0.1; each connection has one of its own to `upstream`.

    A new fault takes the place of the one before. Bytes keep their order under all of them, and
    none are lost but with their connection: what a silence held back arrives when it ends.
    """

    upstream: Upstream
    seed: int = 0
    _random: Random = attrs.field(init=False)
    port: int = attrs.field(init=False)
    _reserved: socket.socket = attrs.field(init=False)
    _listener: trio.SocketListener | None = attrs.field(init=False, default=None)
    _delay_s: tuple[float, float] = attrs.field(init=False, default=(0.0, 0.0))
    _silent: frozenset[Direction] = attrs.field(init=False, default=frozenset())
    _trap: _Trap | None = attrs.field(init=False, default=None)
    _changed: trio.Event = attrs.field(init=False, factory=trio.Event)
    _connections: set[_Connection] = attrs.field(init=False, factory=set)
    _accepted: int = attrs.field(init=False, default=0)
    _trapped: int = attrs.field(init=False, default=0)
    _bytes: dict[Direction, int] = attrs.field(init=False)
    _nursery: trio.Nursery = attrs.field(init=False)
    _token: trio.lowlevel.TrioToken = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._random = Random(self.seed)
        self._bytes = dict.fromkeys(Direction, 0)
        # Bound and never listening: it keeps the port while connections are refused.
        self._reserved = _bound(("127.0.0.1", 0))
        self.port = self._reserved.getsockname()[1]

    def heal(self) -> None:
        """Pass everything on at once. Stranded and cut connections stay as they are."""
        self._control(self._become)

    def delay(self, delay_s: float, jitter_s: float = 0.0) -> None:
        """Hold every chunk, in both directions, for `delay_s`, give or take up to `jitter_s`."""
        self._control(lambda: self._become(delay_s=(delay_s, jitter_s)))

    def silence(self, directions: frozenset[Direction] = BOTH_WAYS) -> None:
        """A black hole: connections are accepted, and neither bytes nor ends are passed on."""
        self._control(lambda: self._become(silent=directions))

    def strand(self) -> None:
        """Leave the connections of this moment silent for ever; new ones pass.

        So it is when the other end has lost its power, or a router its memory: half-open.
        """
        self._control(self._strand)

    def cut(self) -> None:
        """Reset all connections and refuse new ones."""
        self._control(self._cut)

    def reset(self) -> None:
        """Reset all connections; new ones pass."""
        self._control(self._reset)

    def reset_at(self, text: bytes, *, deliver: bool) -> None:
        """Reset every connection whose client sends `text`, in one piece.

        With `deliver` the server gets it first, and only the answer is lost.
        """
        self._control(lambda: self._become(trap=_Trap(text, deliver)))

    def statistics(self) -> ProxyStatistics:
        return self._control(
            lambda: ProxyStatistics(
                self._accepted,
                len(self._connections),
                self._bytes[Direction.TO_SERVER],
                self._bytes[Direction.TO_CLIENT],
                self._trapped,
            )
        )

    def _control(self, change: Callable[[], Result]) -> Result:
        """Do something on the proxy's loop, and wait until it is done."""
        done: Future[Result] = Future()

        def run() -> None:
            try:
                done.set_result(change())
            except BaseException as error:
                done.set_exception(error)

        self._token.run_sync_soon(run)
        return done.result(CONTROL_TIMEOUT_S)

    # What follows runs on the proxy's own loop.

    def _become(
        self,
        *,
        delay_s: tuple[float, float] = (0.0, 0.0),
        silent: frozenset[Direction] = frozenset(),
        trap: _Trap | None = None,
    ) -> None:
        self._delay_s, self._silent, self._trap = delay_s, silent, trap
        self._notify()
        self._listen()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def _strand(self) -> None:
        for connection in self._connections:
            connection.stranded = True
        self._become()

    def _cut(self) -> None:
        self._become()
        if self._listener is not None:
            self._listener.socket.close()
            self._listener = None
        self._reset()

    def _reset(self) -> None:
        for connection in self._connections:
            connection.scope.cancel()

    def _listen(self) -> None:
        if self._listener is None:
            listening = _bound(("127.0.0.1", self.port))
            listening.listen(BACKLOG)
            self._listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
            self._nursery.start_soon(self._accept, self._listener)

    async def run(self, started: Callable[[], None]) -> None:
        """Serve until cancelled."""
        self._token = trio.lowlevel.current_trio_token()
        with self._reserved:
            async with trio.open_nursery() as self._nursery:
                self._listen()
                started()
                await trio.sleep_forever()

    def stop(self) -> None:
        """Reset every connection and end. Does not wait."""
        self._token.run_sync_soon(self._nursery.cancel_scope.cancel)

    async def _accept(self, listener: trio.SocketListener) -> None:
        async with listener:
            with suppress(trio.ClosedResourceError):
                while True:
                    stream = await listener.accept()
                    self._accepted += 1
                    if len(self._connections) >= MAX_CONNECTIONS:
                        _close_with_reset(stream)
                        continue
                    connection = _Connection(stream)
                    self._connections.add(connection)
                    self._nursery.start_soon(self._serve, connection)

    async def _serve(self, connection: _Connection) -> None:
        client, server = connection.client, None
        ended = False
        try:
            with connection.scope, suppress(OSError):
                await self._open(connection, Direction.TO_SERVER)
                server = await _connect(self.upstream)
                ended = await self._pump_both(connection, server)
        finally:
            self._connections.discard(connection)
            for stream in (client, server):
                if stream is not None:
                    stream.socket.close() if ended else _close_with_reset(stream)

    async def _pump_both(self, connection: _Connection, server: trio.SocketStream) -> bool:
        """Whether both directions came to a regular end."""
        client, ended = connection.client, False
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pump, connection, (client, server), Direction.TO_SERVER)
                nursery.start_soon(self._pump, connection, (server, client), Direction.TO_CLIENT)
            ended = True
        except* trio.BrokenResourceError:
            pass
        return ended

    async def _pump(self, connection: _Connection, pipe: Pipe, direction: Direction) -> None:
        """Read ahead, stamp each chunk with the time it is due, and deliver in order."""
        source, sink = pipe
        send, receive = trio.open_memory_channel[tuple[float, bytes]](CHUNKS_UNDER_WAY)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._deliver, connection, receive, sink, direction)
            async with send:
                while True:
                    await self._open(connection, direction)
                    data = await source.receive_some(CHUNK_BYTES)
                    await send.send((self._due(), data))
                    if not data:
                        return

    async def _deliver(
        self,
        connection: _Connection,
        chunks: "trio.MemoryReceiveChannel[tuple[float, bytes]]",
        sink: trio.SocketStream,
        direction: Direction,
    ) -> None:
        async for due, data in chunks:
            await trio.sleep_until(due)
            await self._open(connection, direction)
            trap = self._trap
            snaps = direction is Direction.TO_SERVER and trap is not None and trap.text in data
            if not data:
                await sink.send_eof()
            elif trap is None or trap.deliver or not snaps:
                await sink.send_all(data)
                self._bytes[direction] += len(data)
            if snaps:
                self._trapped += 1
                connection.scope.cancel()

    def _due(self) -> float:
        delay_s, jitter_s = self._delay_s
        return trio.current_time() + max(0.0, delay_s + self._random.uniform(-jitter_s, jitter_s))

    async def _open(self, connection: _Connection, direction: Direction) -> None:
        """Wait while this direction is silent."""
        while connection.stranded or direction in self._silent:
            await self._changed.wait()


def _bound(address: tuple[str, int]) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(address)
    return bound


async def _connect(upstream: Upstream) -> trio.SocketStream:
    if isinstance(upstream, str):
        return await trio.open_unix_socket(upstream)
    return await trio.open_tcp_stream(*upstream)


def _close_with_reset(stream: trio.SocketStream) -> None:
    with suppress(OSError):
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    stream.socket.close()


@contextmanager
def proxied(upstream: Upstream, seed: int = 0) -> Iterator[Proxy]:
    """A proxy that runs for the duration of the block."""
    proxy = Proxy(upstream, seed)
    started = threading.Event()
    thread = threading.Thread(target=trio.run, args=(proxy.run, started.set), name="proxy")
    thread.start()
    try:
        if not started.wait(CONTROL_TIMEOUT_S):
            raise TimeoutError("the proxy did not start")
        yield proxy
    finally:
        proxy.stop()
        thread.join(CONTROL_TIMEOUT_S)
        if thread.is_alive():
            raise TimeoutError("the proxy did not stop")
