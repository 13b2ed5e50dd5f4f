"""What may be said to the edge of the tree."""

import attrs

from runtime import Call

LISTENER = "edge.listener"
"""Name of the actor that listens for HTTP."""


@attrs.frozen
class Address:
    """Where the listener can be reached; the port is never 0."""

    host: str
    port: int

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def __str__(self) -> str:
        return self.url.removeprefix("http://")


@attrs.frozen
class GetAddress(Call[Address]):
    """To the listener: the address it is bound to."""


@attrs.frozen
class ListenerStatistics:
    """`refused` connections came while all `connections_max` were open."""

    connections: int
    connections_max: int
    accepted: int
    refused: int
    failed: int


@attrs.frozen
class GetListenerStatistics(Call[ListenerStatistics]):
    pass
