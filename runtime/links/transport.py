"""The port below links: whole messages of bytes, in order, to one other side."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import trio


class LinkTransport(Protocol):
    """A connection. What arrives, arrives whole and in the order in which it was sent.

    One task sends and one receives at a time. A send that is cancelled may have been half done:
    whoever cancels it closes the transport.
    """

    async def send(self, data: bytes) -> None:
        """Returns when the network has taken it, and waits while it takes nothing more. Raises
        `TransportClosed`. A checkpoint."""

    async def receive(self) -> bytes:
        """The next message. Raises `TransportClosed`, also for one above the size that was
        agreed on. A checkpoint; when cancelled, nothing is lost."""

    async def aclose(self) -> None:
        """End it, without waiting for the other side for longer than a moment. Cancelled, it is
        closed by force. Never raises."""


Serve = Callable[[LinkTransport], Awaitable[None]]
"""Called in a task of its own for each connection that comes in; it is closed afterwards."""


class LinkNetwork(Protocol):
    """How a process reaches others, and is reached.

    `message_bytes_max` bounds what is received; larger messages end the connection.
    """

    def connect(
        self, address: str, *, message_bytes_max: int
    ) -> AbstractAsyncContextManager[LinkTransport]:
        """A connection for the duration of the block. Raises `TransportClosed` when nobody is
        there; without a bound in time, which is the caller's."""

    async def listen(
        self,
        address: str,
        serve: Serve,
        *,
        message_bytes_max: int,
        connections_max: int,
        task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled, and then end all connections. `started` gives the address where
        it is reached. Raises `OSError` when the address cannot be had. Connections beyond
        `connections_max` are closed at once; what `serve` raises ends its connection only."""
