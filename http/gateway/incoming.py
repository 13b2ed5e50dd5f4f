"""A request as the dispatcher sees it, by whichever way it came."""

from collections.abc import Awaitable, Callable

import attrs

from gateway.security import RawHeaders
from runtime.policies.shedding import Permit

ReadBody = Callable[[], Awaitable[bytes]]


@attrs.define(eq=False)
class Incoming:
    """The head of a request, and its body where that has come.

    `path` is decoded, `query` is as it came, and `target_bytes` is how long both were together.
    Names of headers are in lower case. `peer` is the address at the other end of the connection.
    `permit` is that of load shedding, where the door has given one.
    `read_body` waits for a body that is still to come; it raises Quart's errors.
    """

    method: str
    path: str
    query: bytes
    target_bytes: int
    headers: RawHeaders
    peer: str | None
    permit: Permit | None = None
    body: bytes | None = None
    read_body: ReadBody | None = None

    async def data(self) -> bytes:
        """The body. A checkpoint only where it is still to come."""
        if self.body is not None or self.read_body is None:
            return self.body or b""
        return await self.read_body()
