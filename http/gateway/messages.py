"""What may be said to the edge of the tree."""

import attrs

from runtime import Call
from runtime.policies import Priority, SheddingMode, SheddingStatistics

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


@attrs.frozen
class GetShedding(Call[SheddingStatistics]):
    """To the listener: what is admitted and shed."""


@attrs.frozen
class SwitchShedding(Call[SheddingStatistics]):
    """To the listener, from an operator: whether to shed by itself, and which priorities to turn
    away in any case. It lasts until the next word, or the end of the process."""

    mode: SheddingMode
    shed_by_hand: frozenset[Priority] = frozenset()
