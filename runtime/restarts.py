"""Restart accounting: how many restarts are too many, and how long the next one waits."""

from collections import deque
from random import Random

import attrs

from runtime.children import Child
from runtime.flags import SupervisorFlags


@attrs.define
class Restarts:
    """The restarts of one supervisor that its present flags still look at, each with its child.

    Every event that leads to a restart counts once, however many children it restarts, and a
    restart that failed counts again when it is repeated. A restart exactly `period_s` ago is
    still in the period.
    """

    flags: SupervisorFlags
    _counted: deque[tuple[float, Child]] = attrs.field(factory=deque)

    def admit(self, now: float, child: Child) -> bool:
        """Count a restart because of `child` at `now`; false when it is one too many."""
        self._forget_before(now - self.flags.period_s)
        self._counted.append((now, child))
        return len(self._counted) <= self.flags.intensity

    def delay_s(self, child: Child, random: Random) -> float:
        """How long a restart because of `child` that was just admitted waits: what happened to
        others is no reason to wait."""
        backoff = self.flags.backoff
        if backoff is None:
            return 0.0
        restarts = sum(counted is child for _, counted in self._counted)
        return backoff.delay_s(restarts, random)

    def in_period(self, now: float) -> int:
        """Restarts in the period that ends at `now`."""
        self._forget_before(now - self.flags.period_s)
        return len(self._counted)

    def _forget_before(self, threshold: float) -> None:
        while self._counted and self._counted[0][0] < threshold:
            self._counted.popleft()
