"""Guarded connections: no client can end the process, or hold up its end."""

from collections.abc import Awaitable, Callable
from typing import Any

import structlog
import trio
from hypercorn.config import Config
from hypercorn.events import Event, Updated
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

log = structlog.get_logger("loyalnest.gateway")

REFUSAL_TIMEOUT_S = 0.5
"""How long a connection over the bound may take to be told so."""

REFUSAL_READ_BYTES = 16_384

REFUSAL_BODY = (
    b'{"type":"about:blank","title":"Service Unavailable","status":503,'
    b'"detail":"too many connections","code":"too_many_connections","trace_id":null}'
)

REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\n"
    b"content-type: application/problem+json\r\ncontent-length: %d\r\n\r\n%b"
) % (len(REFUSAL_BODY), REFUSAL_BODY)

HypercornApp = Callable[..., Awaitable[None]]


class GuardedStream(trio.abc.HalfCloseableStream):
    """A socket stream whose sends have a deadline.

    Hypercorn shields its sends from cancellation, so one without a deadline would wait for a
    client that stopped reading for ever. After the deadline the socket is closed by force.
    """

    def __init__(self, stream: trio.SocketStream, send_timeout_s: float) -> None:
        self.socket = stream.socket
        self._stream = stream
        self._send_timeout_s = send_timeout_s

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Raises `trio.BrokenResourceError` when the client does not take the data in time."""
        with trio.move_on_after(self._send_timeout_s) as scope:
            await self._stream.send_all(data)
        if scope.cancelled_caught:
            self.close_by_force()
            raise trio.BrokenResourceError("the client stopped reading")

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def close_by_force(self) -> None:
        """Close now. Whoever waits on the socket gets `trio.ClosedResourceError`."""
        self.socket.close()


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
        self, app: HypercornApp, config: Config, *, limit: int, send_timeout_s: float
    ) -> None:
        self._app = app
        self._config = config
        self._context = WorkerContext(max_requests=None)
        self._send_timeout_s = send_timeout_s
        self._open: set[GuardedStream] = set()
        self._empty = trio.Event()
        self.limit = limit
        self.accepted = 0
        self.refused = 0
        self.failed = 0

    def __len__(self) -> int:
        return len(self._open)

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection to its end. Raises nothing but cancellation."""
        if len(self._open) >= self.limit:
            self.refused += 1
            await _refuse(stream)
            return
        self.accepted += 1
        guarded = GuardedStream(stream, self._send_timeout_s)
        self._open.add(guarded)
        try:
            await self._serve(guarded)
        except* Exception as errors:
            self.failed += 1
            log.warning("connection_failed", error=_cause(errors))
            log.debug("connection_failed", exc_info=errors)
        finally:
            guarded.close_by_force()
            self._open.discard(guarded)
            if not self._open:
                self._empty.set()

    async def _serve(self, stream: GuardedStream) -> None:
        server: Any = Server(
            self._app,  # type: ignore[arg-type]
            self._config,
            self._context,
            ConnectionState({}),
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
        for stream in self._open:
            stream.close_by_force()


def _cause(errors: BaseExceptionGroup[Any]) -> str:
    """One line: clients can cause this, and must not fill the log."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return repr(error)[:200]


async def _refuse(stream: trio.SocketStream) -> None:
    """Answer 503. The request is read first, or closing would reset the answer away."""
    with trio.move_on_after(REFUSAL_TIMEOUT_S):
        try:
            await stream.receive_some(REFUSAL_READ_BYTES)
            await stream.send_all(REFUSAL)
        except trio.BrokenResourceError:
            log.debug("refused_connection_gone")
    await trio.aclose_forcefully(stream)
