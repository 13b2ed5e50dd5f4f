"""Restart accounting: how many restarts are too many, and how long the next one waits."""

from collections import deque
from random import Random

import attrs

from runtime.flags import SupervisorFlags


@attrs.define
class Restarts:
    """The restarts of one supervisor that its present flags still look at.

    Every event that leads to a restart counts once, however many children it restarts, and a
    restart that failed counts again when it is repeated. A restart exactly `period_s` ago is
    still in the period.
    """

    flags: SupervisorFlags
    _times: deque[float] = attrs.field(factory=deque)

    def admit(self, now: float) -> bool:
        """Count a restart at `now`; false when it is one too many."""
        self._forget_before(now - self.flags.period_s)
        self._times.append(now)
        return len(self._times) <= self.flags.intensity

    def delay_s(self, random: Random) -> float:
        """How long the restart that was admitted last waits."""
        backoff = self.flags.backoff
        return backoff.delay_s(len(self._times), random) if backoff is not None else 0.0

    def in_period(self, now: float) -> int:
        """Restarts in the period that ends at `now`."""
        self._forget_before(now - self.flags.period_s)
        return len(self._times)

    def _forget_before(self, threshold: float) -> None:
        while self._times and self._times[0] < threshold:
            self._times.popleft()
