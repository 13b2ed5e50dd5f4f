"""Which messages are looked at more closely while they are sent."""

from typing import Final

TIMED: Final = 64
"""One message of this many is timed, for the queue-wait and service-time metrics."""


class Sampling:
    """One message of `every` is looked at: all of them as long as any actor is traced.

    One for the process, not one for each system: so that looking at none costs a send nothing
    beyond the modulo that it computes anyway.
    """

    __slots__ = ("_traces", "every")

    def __init__(self) -> None:
        self.every = TIMED
        self._traces = 0

    def more(self) -> None:
        """A trace begins."""
        self._traces += 1
        self.every = 1

    def less(self) -> None:
        """A trace is over."""
        self._traces -= 1
        if not self._traces:
            self.every = TIMED


SAMPLING: Final = Sampling()
