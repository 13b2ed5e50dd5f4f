"""The short way of a request: what has arrived whole is answered by the task of its connection.

Hypercorn and Quart start three tasks for a request, and pass its body from one to the next, so that
bodies may come slowly and the end of the connection is heard of meanwhile. Of a request that the
door has seen whole nothing is still to come, and the door hears of the end. Measured, the tasks
and what they pass to each other took a quarter of an earn's time.
"""

from collections.abc import Coroutine
from typing import Any, Final, Protocol, runtime_checkable
from urllib.parse import unquote

import h11
import trio

from gateway.incoming import Incoming
from gateway.security import RawHeaders
from gateway.visitors import Visitor

FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"connection"})
"""Headers by which a client finds the end of an answer, or of the connection."""


class Encoded(Protocol):
    """An answer, ready to be sent."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> RawHeaders: ...
    @property
    def body(self) -> bytes: ...


@runtime_checkable
class Prompt(Protocol):
    """An application that answers whole requests without ASGI."""

    def prompt_answer(self, request: Incoming) -> Coroutine[Any, Any, Encoded] | None:
        """None where the request is for a route that needs ASGI. What is returned raises only
        cancellation."""

    def go_away(self) -> None:
        """The listener accepts no more: end what has no end of its own."""


def incoming(request: h11.Request, peer: str | None) -> Incoming:
    """The head of a request. What comes with it is added once somebody answers it."""
    path, _, query = request.target.partition(b"?")
    text = path.decode("ascii")
    return Incoming(
        method=request.method.decode("ascii").upper(),
        path=unquote(text) if "%" in text else text,
        query=query,
        target_bytes=len(path) + len(query),
        headers=list(request.headers),
        peer=peer,
    )


async def answered(
    answering: Coroutine[Any, Any, Encoded], visitor: Visitor, limit_s: float
) -> Encoded | None:
    """The answer, or None where the client left before it, or there was none within `limit_s`."""
    with trio.move_on_after(limit_s) as scope:
        visitor.working = scope
        try:
            return await answering
        finally:
            visitor.working = None
    return None


def lines(headers: RawHeaders) -> bytes:
    """The headers that are not about framing, as they are sent.

    Raises `h11.LocalProtocolError` when one of them would be read as several.
    """
    rest = [header for header in headers if header[0] not in FRAMING]
    block = b"".join([b"%b: %b\r\n" % header for header in rest])
    if block.count(b"\n") + block.count(b"\r") != 2 * len(rest) or b"\0" in block:
        raise h11.LocalProtocolError("a header with a line break in it")
    return block
