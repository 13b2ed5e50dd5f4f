"""Links over WebSockets: the transport port's adapter for real networks.

Of trio-websocket only the connection is used, within a nursery of ours: its own ways in and out
wait for the other side's part of a closing handshake, its opening one waits for ever on a peer
that hangs up, and an error in its reader would end whatever nursery that runs in.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Final, TypeAlias, cast

import attrs
import structlog
import trio
from trio_websocket import (
    ConnectionClosed,
    WebSocketConnection,
    wrap_client_stream,
    wrap_server_stream,
)

from runtime.links.errors import TransportClosed
from runtime.links.transport import LinkTransport, Serve
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.links")

RESOURCE: Final = "/loyalnest/link"
QUEUE_MESSAGES: Final = 1
"""Messages that are read ahead of whoever receives them; after that the network has to wait."""

RECEIVE_BYTES: Final = 64 * 1024
OPENING_S: Final = 5.0
"""How long a connection that came in may take until it is a WebSocket."""

CLOSING_S: Final = 0.5
"""How long the other side has for its part of the closing handshake."""

REFUSED: Final = "link_tls_refused"
BACKLOG: Final = 128
HAPPY_EYEBALLS_S: Final = 0.25

TlsContext: TypeAlias = Callable[[], ssl.SSLContext]
"""Asked anew for each connection, so that certificates can be replaced while links are up. Raises
`OSError` or `ValueError` when there is none."""


@attrs.define(eq=False)
class WebSocketTransport:
    """One WebSocket. See `LinkTransport`."""

    _connection: WebSocketConnection
    _stream: trio.abc.Stream

    async def send(self, data: bytes) -> None:
        try:
            await self._connection.send_message(data)
        except (ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise TransportClosed(str(error)) from error

    async def receive(self) -> bytes:
        try:
            message = await self._connection.get_message()
        except (ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise TransportClosed(str(error)) from error
        if not isinstance(message, bytes):
            raise TransportClosed("text, where links send bytes")
        return message

    async def aclose(self) -> None:
        with trio.move_on_after(CLOSING_S):
            await self._connection.aclose()
        await trio.aclose_forcefully(self._stream)


@attrs.frozen
class WebSocketNetwork:
    """Connections over trio-websocket, to addresses `host:port` (IPv6 in brackets).

    With `server_tls` and `client_tls` they are encrypted; the contexts say which certificates
    count. Without, only loopback and networks that nobody listens in on should carry them: peers
    prove that they know the secret, but what they send can be read on the way.
    """

    server_tls: TlsContext | None = None
    client_tls: TlsContext | None = None

    @asynccontextmanager
    async def connect(
        self, address: str, *, message_bytes_max: int
    ) -> AsyncIterator[LinkTransport]:
        """See `LinkNetwork`."""
        host, port = host_and_port(address)
        stream = await self._connected(host, port)
        async with _caught(stream) as nursery:
            connection = None
            with _opening(nursery) as readers:
                connection = await wrap_client_stream(
                    readers,
                    stream,
                    host,
                    RESOURCE,
                    message_queue_size=QUEUE_MESSAGES,
                    max_message_size=message_bytes_max,
                    receive_buffer_size=RECEIVE_BYTES,
                )
            if connection is None or connection.closed is not None:
                raise TransportClosed("the WebSocket was refused")
            transport = WebSocketTransport(connection, stream)
            try:
                yield transport
            finally:
                await transport.aclose()

    async def _connected(
        self, host: str, port: int
    ) -> trio.SocketStream | trio.SSLStream[trio.SocketStream]:
        try:
            stream = await trio.open_tcp_stream(host, port, happy_eyeballs_delay=HAPPY_EYEBALLS_S)
        except (OSError, UnicodeError) as error:  # the latter for what cannot be a host's name
            raise TransportClosed(str(error)) from error
        stream.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
        if self.client_tls is None:
            return stream
        try:
            encrypted = trio.SSLStream(
                stream, _context(self.client_tls), server_hostname=host, https_compatible=True
            )
            await _shake_hands(encrypted)
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return encrypted

    async def listen(
        self,
        address: str,
        serve: Serve,
        *,
        message_bytes_max: int,
        connections_max: int,
        task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """See `LinkNetwork`."""
        host, port = host_and_port(address)
        listeners = await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG)
        room = trio.Semaphore(connections_max)
        handler = partial(self._serve, serve, room, Trouble(log, REFUSED, ""), message_bytes_max)
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(trio.serve_listeners, handler, listeners)
                task_status.started(f"{host}:{listeners[0].socket.getsockname()[1]}")
        finally:
            for listener in listeners:
                await trio.aclose_forcefully(listener)

    async def _serve(
        self,
        serve: Serve,
        room: trio.Semaphore,
        refusals: Trouble,
        message_bytes_max: int,
        stream: trio.SocketStream,
    ) -> None:
        """One connection that came in. Never raises: the others go on. Refusals never end: other
        peers that are let in say nothing about them."""
        try:
            room.acquire_nowait()
        except trio.WouldBlock:
            log.warning("link_connections_full")
            await trio.aclose_forcefully(stream)
            return
        try:
            stream.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
            await self._open_and_serve(serve, message_bytes_max, stream)
        except _TlsFailed as error:
            refusals.failed(error)
        except TransportClosed as error:
            log.debug("link_connection_ended", error=str(error)[:500])
        except Exception as error:
            log.exception("link_connection_broke", exc_info=error)
        finally:
            room.release()
            await trio.aclose_forcefully(stream)

    async def _open_and_serve(
        self, serve: Serve, message_bytes_max: int, plain: trio.SocketStream
    ) -> None:
        stream: trio.abc.Stream = plain
        if self.server_tls is not None:
            stream = trio.SSLStream(
                plain, _context(self.server_tls), server_side=True, https_compatible=True
            )
        async with _caught(stream) as nursery:
            connection = await self._accepted(nursery, stream, message_bytes_max)
            transport = WebSocketTransport(connection, stream)
            try:
                await serve(transport)
            finally:
                await transport.aclose()

    async def _accepted(
        self, nursery: trio.Nursery, stream: trio.abc.Stream, message_bytes_max: int
    ) -> WebSocketConnection:
        with trio.move_on_after(OPENING_S), _opening(nursery) as readers:
            if isinstance(stream, trio.SSLStream):
                await _shake_hands(stream)
            request = await wrap_server_stream(
                readers,
                stream,
                message_queue_size=QUEUE_MESSAGES,
                max_message_size=message_bytes_max,
                receive_buffer_size=RECEIVE_BYTES,
            )
            if request.path == RESOURCE:
                return await request.accept()
            await request.reject(404)
        raise TransportClosed("no WebSocket for links")


class _TlsFailed(TransportClosed):
    """There are no certificates, or the other side's do not count, or it says so of ours."""


def _context(context: TlsContext) -> ssl.SSLContext:
    try:
        return context()
    except (OSError, ValueError) as error:
        raise _TlsFailed(f"TLS: {error}") from error


async def _shake_hands(stream: trio.SSLStream[trio.SocketStream]) -> None:
    """Now, and not with the first bytes, so that it is known why it failed. Who connects does not
    hear here that its own certificate does not count: the other side looks at that later."""
    try:
        await stream.do_handshake()
    except trio.BrokenResourceError as error:
        raise _TlsFailed(f"TLS: {error.__cause__ or 'the connection broke'}") from error


@attrs.define
class _Readers:
    """In place of a nursery, for whoever starts a reader: `opening` ends when that does."""

    _nursery: trio.Nursery
    _opening: trio.CancelScope

    def start_soon(self, read: Callable[[], Awaitable[None]]) -> None:
        self._nursery.start_soon(self._read, read)

    async def _read(self, read: Callable[[], Awaitable[None]]) -> None:
        await read()
        self._opening.cancel()


@contextmanager
def _opening(nursery: trio.Nursery) -> Iterator[trio.Nursery]:
    """The time until a connection is a WebSocket, which ends when the other side hangs up:
    trio-websocket would wait on."""
    with trio.CancelScope() as scope:
        yield cast("trio.Nursery", _Readers(nursery, scope))


@asynccontextmanager
async def _caught(stream: trio.abc.Stream) -> AsyncIterator[trio.Nursery]:
    """A nursery for the tasks of one connection, whose errors are `TransportClosed`. What the
    block raises comes out as it is."""
    own: Exception | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            except Exception as error:
                own = error
            nursery.cancel_scope.cancel()
    except* Exception as group:
        if own is None:
            raise TransportClosed(f"the connection broke: {group.exceptions[0]!r}") from group
    finally:
        await trio.aclose_forcefully(stream)
    if own is not None:
        raise own


def host_and_port(address: str) -> tuple[str, int]:
    """Raises `ValueError` for what is no `host:port`."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"{address!r} is no host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)
