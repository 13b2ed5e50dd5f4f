"""Guarded connections: no client can end the process, or hold up its end."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import h11
import structlog
import trio
from hypercorn.config import Config
from hypercorn.events import Event, Updated
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

from gateway.visitors import Visitor

log = structlog.get_logger("loyalnest.gateway")

VISITOR: Final = "visitor"
"""Where a request finds the connection that it came by, in the state of its ASGI scope."""

HypercornApp = Callable[..., Awaitable[None]]


class GuardedStream(trio.abc.HalfCloseableStream):
    """A visitor's stream, whose sends have a deadline.

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
        with trio.move_on_after(self._send_timeout_s) as scope:
            await self._stream.send_all(data)
        if scope.cancelled_caught:
            self.visitor.close()
            raise trio.BrokenResourceError("the client stopped reading")

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
    """Hypercorn's connection, without what it leaves behind.

    It starts a timer whenever a connection is idle, and does not stop it when the client has
    gone: the closed connection then counted against the limit until the timer ended.
    """

    _reading = True

    async def _read_data(self) -> None:
        await super()._read_data()
        self._reading = False
        await self.idle_task.stop()

    async def protocol_send(self, event: Event) -> None:
        if self._reading or not isinstance(event, Updated):
            await super().protocol_send(event)
        if isinstance(event, Updated) and event.idle:
            visitor: Visitor = self.stream.visitor
            visitor.abandon()
            if self._is_between_requests():
                visitor.step_outside()

    def _is_between_requests(self) -> bool:
        """Whether no byte of the next request is here. With HTTP/2 there is no such moment."""
        connection = getattr(self.protocol.protocol, "connection", None)
        if not isinstance(connection, h11.Connection):
            return False
        return connection.their_state is h11.IDLE and not connection.trailing_data[0]


class HypercornLog:
    """Takes Hypercorn's own log events; access is logged by the application instead."""

    def __init__(self, config: Config) -> None:
        pass

    async def access(self, *_details: object) -> None:
        pass

    async def exception(self, message: str, *_arguments: object) -> None:
        log.exception("application_failed", detail=message)  # noqa: LOG004 - called inside one

    async def info(self, message: str, *_arguments: object) -> None:
        log.info("hypercorn", detail=message)

    async def warning(self, message: str, *_arguments: object) -> None:
        log.warning("hypercorn", detail=message)

    async def error(self, message: str, *_arguments: object) -> None:
        log.error("hypercorn", detail=message)


class Connections:
    """Serves connections, at most `limit` at once, each guarded against its own failure."""

    def __init__(
        self,
        app: HypercornApp,
        config: Config,
        *,
        limit: int,
        send_timeout_s: float,
        turned_away: Callable[[bytes], None] = lambda _method: None,
    ) -> None:
        self._app = app
        self._config = config
        self._context = WorkerContext(max_requests=None)
        self._send_timeout_s = send_timeout_s
        self._open: set[Visitor] = set()
        self._empty = trio.Event()
        self._nursery: trio.Nursery | None = None
        self.turned_away = turned_away
        self.limit = limit
        self.accepted = 0
        self.refused = 0
        self.failed = 0

    def __len__(self) -> int:
        return len(self._open)

    def serve_in(self, nursery: trio.Nursery) -> None:
        """Where the tasks of connections run."""
        self._nursery = nursery

    def arrived(self, visitor: Visitor) -> bool:
        """A connection was accepted; whether it is within the bound."""
        within = len(self._open) < self.limit
        if within:
            self.accepted += 1
        else:
            self.refused += 1
        self._open.add(visitor)
        return within

    def enter(self, visitor: Visitor) -> None:
        """Start to serve a connection."""
        if self._nursery is None:
            raise RuntimeError("connections are served in a nursery")
        self._nursery.start_soon(self._guarded, visitor)

    def left(self, visitor: Visitor) -> None:
        """A connection was closed."""
        self._open.discard(visitor)
        if not self._open:
            self._empty.set()

    async def _guarded(self, visitor: Visitor) -> None:
        """Serve one connection to its end. Raises nothing but cancellation."""
        try:
            await self._serve(GuardedStream(visitor, self._send_timeout_s))
        except* Exception as errors:
            self.failed += 1
            log.warning("connection_failed", error=_cause(errors))
            log.debug("connection_failed", exc_info=errors)
        finally:
            visitor.close()

    async def _serve(self, stream: GuardedStream) -> None:
        server: Any = Server(
            self._app,  # type: ignore[arg-type]
            self._config,
            self._context,
            ConnectionState({VISITOR: stream.visitor}),
            stream,  # type: ignore[arg-type]
        )
        await server.run()

    async def drain(self, drain_s: float) -> None:
        """Close idle connections and wait for the busy ones, at most `drain_s`."""
        await self._context.terminated.set()
        self._empty = trio.Event()
        with trio.move_on_after(drain_s):
            while self._open:
                await self._empty.wait()
                self._empty = trio.Event()

    def close_by_force(self) -> None:
        """Close every socket, which also ends sends that are shielded from cancellation."""
        for visitor in list(self._open):
            visitor.close()


def _cause(errors: BaseExceptionGroup[Any]) -> str:
    """One line: clients can cause this, and must not fill the log."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return repr(error)[:200]
