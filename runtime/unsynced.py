"""What a journal has committed and nobody has synced yet, and who waits for that."""

from collections import deque
from math import inf

import attrs

from runtime.envelope import Envelope

DURABLE_WITHIN_S = 0.25
"""A commit that waits for the sync of another one is synced after so long by itself. So much of
what is in the background may be lost with the power."""

AWAITED_WITHIN_S = 0.05
"""The same where somebody waits for it. Beside a few dozen commits a second there is seldom a need
for it."""


@attrs.define
class Unsynced:
    """In the order of the commits, each of one entry. Who waits hears of it when it is synced; the
    others, which are None, have been answered."""

    _commits: deque[tuple[int, Envelope | None]] = attrs.field(factory=deque)

    def __bool__(self) -> bool:
        return bool(self._commits)

    def add(self, commit: int, waits: Envelope | None) -> float:
        """The commit of this number; how long until it is to be durable, in seconds."""
        self._commits.append((commit, waits))
        return DURABLE_WITHIN_S if waits is None else AWAITED_WITHIN_S

    def take(self, through: float = inf) -> list[Envelope | None]:
        """The entries of the commits up to this number, which are forgotten here."""
        taken: list[Envelope | None] = []
        while self._commits and self._commits[0][0] <= through:
            taken.append(self._commits.popleft()[1])
        return taken
