"""A port for probes and metrics of a process that serves nothing else, or something else there."""

from collections.abc import Callable
from typing import Final, TypeAlias

import attrs
import structlog
import trio

from cli.errors import CommandFailed
from gateway.messages import Address, GetAddress
from runtime import Actor
from supervisors.health import Status

log = structlog.get_logger("loyalnest.port")

CONNECTIONS_MAX: Final = 128
"""Those beyond are closed at once."""

EXCHANGE_LIMIT_S: Final = 5.0
"""From the first byte of a request to the last one of its answer."""

HEAD_BYTES_MAX: Final = 4_096
JSON: Final = "application/json"


@attrs.frozen
class Page:
    """An answer; `ok` is 200, otherwise 503."""

    body: bytes
    content_type: str = JSON
    ok: bool = True


def word(status: Status, *, ok: bool) -> Page:
    """What the public is told of a process."""
    return Page(b'{"status":"%s"}' % status.value.encode(), ok=ok)


Pages: TypeAlias = Callable[[str], Page | None]
"""The page at a path, None where there is none. It neither waits nor raises."""


class PlainPort(Actor):
    """Answers GET and HEAD with pages, one request a connection, within bounds.

    Its start fails with `CommandFailed` when the address cannot be had.
    """

    def __init__(self, bind: str, pages: Pages) -> None:
        self._bind = bind
        self._pages = pages
        self._room = trio.Semaphore(CONNECTIONS_MAX)
        self._address: Address

    async def started(self) -> None:
        host, _, port = self._bind.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        try:
            listeners = await trio.open_tcp_listeners(int(port), host=host)
        except OSError as error:
            reason = error.strerror or str(error)
            raise CommandFailed(f"cannot listen on {self._bind}: {reason}") from error
        self._address = Address(*listeners[0].socket.getsockname()[:2])
        self.start_task(trio.serve_listeners, self._serve, listeners)

    async def receive(self, message: object) -> object:
        if isinstance(message, GetAddress):
            return self._address
        return await super().receive(message)

    async def _serve(self, stream: trio.SocketStream) -> None:
        """One connection. Whatever a client does, it costs that connection only."""
        try:
            self._room.acquire_nowait()
        except trio.WouldBlock:
            await trio.aclose_forcefully(stream)
            return
        try:
            async with stream:
                with trio.move_on_after(EXCHANGE_LIMIT_S):
                    await self._exchange(stream)
        finally:
            self._room.release()

    async def _exchange(self, stream: trio.SocketStream) -> None:
        try:
            line = await _request_line(stream)
            await stream.send_all(self._answer(line))
            await stream.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            log.debug("connection_lost")

    def _answer(self, line: bytes) -> bytes:
        method, _, rest = line.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0].decode("latin-1")
        page = self._pages(path) if method in {b"GET", b"HEAD"} else None
        found = page if page is not None else Page(b'{"status":"unknown"}')
        code = b"404 Not Found" if page is None else b"200 OK" if page.ok else _UNAVAILABLE
        head = (
            b"HTTP/1.1 %s\r\ncontent-type: %s\r\ncache-control: no-store\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n"
        ) % (code, found.content_type.encode(), len(found.body))
        return head if method == b"HEAD" else head + found.body


_UNAVAILABLE: Final = b"503 Service Unavailable"


async def _request_line(stream: trio.SocketStream) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and len(head) < HEAD_BYTES_MAX:
        some = await stream.receive_some(HEAD_BYTES_MAX)
        head += some
        if not some:
            break
    return head.partition(b"\r\n")[0]
