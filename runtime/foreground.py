"""Whether people wait for the store just now: what work in the background asks before it goes on.

Background work has the machine for itself while nobody waits, and makes room as soon as somebody
does. Who writes an entry of the journal says which of the two it is.
"""

from math import inf

import attrs

from runtime.parking import monotonic

LINGERS_S = 1.0
"""So long after the last one, others are believed to come."""


@attrs.define(eq=False)
class Foreground:
    """Of one actor system. Nothing in here waits."""

    _until: float = -inf

    def seen(self) -> None:
        """Somebody waits for a commit."""
        self._until = monotonic() + LINGERS_S

    @property
    def busy(self) -> bool:
        """Whether somebody did so lately."""
        return monotonic() < self._until
