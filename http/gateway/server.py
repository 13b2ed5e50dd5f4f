"""One connection: its sends and its reads have time limits, whatever the client does."""

import math
from typing import Any

import attrs
import structlog
import trio
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.utils import parse_socket_addr

from gateway.addresses import Network
from gateway.protocols import ProtocolLimits, Protocols
from gateway.short_way import Prompt
from gateway.visitors import Visitor

log = structlog.get_logger("loyalnest.gateway")

SEND_BYTES = 65_536
"""What a client has to take within the time for a send."""

LINGER_S = 1.0
LINGER_BYTES = 4 * 1024 * 1024
"""What is still read of a client after the last answer: closing sooner would take it back."""


@attrs.frozen(kw_only=True)
class ConnectionLimits:
    """How many connections there may be, and what each may cost.

    A head has `head_timeout_s` from its first byte, and on a new connection from its beginning.
    A client that sends nothing for `read_timeout_s` is gone. `send_timeout_s` is for a part of
    an answer, `answer_timeout_s` for the whole of it where HTTP/2 lets the client hold it up.
    """

    total: int
    per_address: int
    trusted_proxies: tuple[Network, ...]
    head_max_bytes: int
    head_timeout_s: float
    read_timeout_s: float
    send_timeout_s: float
    answer_timeout_s: float


class GuardedStream(trio.abc.HalfCloseableStream):
    """A visitor's stream, whose sends have a deadline, for every `SEND_BYTES` of them.

    Hypercorn shields its sends from cancellation, so one without a deadline would wait for a
    client that stopped reading for ever. After the deadline the socket is closed by force.
    """

    def __init__(self, visitor: Visitor, send_timeout_s: float) -> None:
        self.visitor = visitor
        self._stream = trio.SocketStream(trio.socket.from_stdlib_socket(visitor.socket))
        self.socket = self._stream.socket
        self._send_timeout_s = send_timeout_s

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Raises `trio.BrokenResourceError` when the client does not take the data in time."""
        rest = memoryview(data)
        while True:
            part, rest = rest[:SEND_BYTES], rest[SEND_BYTES:]
            with trio.move_on_after(self._send_timeout_s) as scope:
                await self._stream.send_all(part)
            if scope.cancelled_caught:
                self.visitor.close()
                raise trio.BrokenResourceError("the client stopped reading")
            if not rest:
                return

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.visitor.receive()

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close now. Whoever waits on the socket gets `trio.ClosedResourceError`."""
        self.visitor.close()
        await trio.lowlevel.checkpoint()


class Server(TCPServer):
    """Hypercorn's connection with our protocols, and time limits on what the client sends.

    Whoever reads is also who notices that the connection is idle: a task for that, as Hypercorn
    starts one after every request, costs a twelfth of a request.
    """

    _reading = True
    _closing = False

    def __init__(self, limits: ConnectionLimits, prompt: Prompt | None, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._limits = limits
        self._prompt = prompt
        self._reader = trio.CancelScope()
        self._patience = trio.CancelScope()
        self._idle_ends_at = math.inf
        self._lingered_bytes = 0

    async def run(self) -> None:
        """Serve until the connection ends."""
        try:
            socket = self.stream.socket
            client = parse_socket_addr(socket.family, socket.getpeername())
            server = parse_socket_addr(socket.family, socket.getsockname())
            async with TaskGroup() as task_group:
                self._task_group = task_group
                self.protocol: Any = Protocols(
                    ProtocolLimits(
                        self._limits.head_max_bytes,
                        self._limits.answer_timeout_s,
                        self._limits.read_timeout_s,
                    ),
                    self._prompt,
                    app=self.app,
                    config=self.config,
                    context=self.context,
                    task_group=task_group,
                    connection_state=self.state,
                    ssl=False,
                    client=client,
                    server=server,
                    send=self.protocol_send,
                )
                await self.protocol.initiate()
                # At the end of everything it would close at once, and a request has begun to come.
                if not self.context.terminated.is_set():
                    self._is_idle()
                await self._read_data()
        except OSError:
            log.debug("connection_lost")
        finally:
            await self._close()

    async def _read_data(self) -> None:
        with self._reader:
            await self._read_until_the_end()
        self._reading = False
        await self.protocol.handle(Closed())

    async def _read_until_the_end(self) -> None:
        head_ends_at = math.inf
        data = b"-"
        while data:
            now = trio.current_time()
            if not self.protocol.protocol.awaits_head:
                head_ends_at = math.inf
            elif head_ends_at == math.inf:
                head_ends_at = now + self._limits.head_timeout_s
            silent_until = now + self._limits.read_timeout_s
            until = min(silent_until, head_ends_at, self._idle_ends_at)
            try:
                with trio.CancelScope(deadline=until) as self._patience:
                    data = bytes(await self.stream.receive_some())
            except (trio.ClosedResourceError, trio.BrokenResourceError):
                return
            if self._patience.cancelled_caught:
                if trio.current_time() >= head_ends_at:
                    await self.protocol.protocol.head_too_slow()
                return
            await self._received(data)

    async def _received(self, data: bytes) -> None:
        """After the last answer, what comes is only counted."""
        if not self._closing:
            await self.protocol.handle(RawData(data))
            return
        self._lingered_bytes += len(data)
        if self._lingered_bytes > LINGER_BYTES:
            self._reader.cancel()

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, Closed) and self._reading:
            await self._linger()
            await self.protocol.handle(Closed())
        elif isinstance(event, Updated):
            self._updated(event)
        else:
            await super().protocol_send(event)

    def _updated(self, event: Updated) -> None:
        """A request begins, or is over."""
        if not event.idle:
            self._idle_ends_at = math.inf
            return
        visitor: Visitor = self.stream.visitor
        visitor.answered(between_requests=self.protocol.protocol.is_between_requests)
        self._is_idle()

    def _is_idle(self) -> None:
        self._idle_ends_at = trio.current_time() + self.config.keep_alive_timeout
        self._patience.deadline = min(self._patience.deadline, self._idle_ends_at)

    def end_if_idle(self) -> None:
        """Read no more, unless a request is in hand or a part of one has come."""
        if self._idle_ends_at < math.inf and not self.protocol.protocol.has_a_part:
            self._reader.cancel()

    async def _linger(self) -> None:
        """Tell the client that no more comes, and let it read that before the socket closes."""
        if self._closing:
            return
        self._closing = True
        self._reader.deadline = min(self._reader.deadline, trio.current_time() + LINGER_S)
        await self._half_close()

    async def _close(self) -> None:
        await self._half_close()
        await self.stream.aclose()

    async def _half_close(self) -> None:
        """Not while something is being sent, which would fail then."""
        async with self.send_lock:
            try:
                await self.stream.send_eof()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._reader.cancel()
