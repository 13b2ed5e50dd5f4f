"""Chance: whether a use of something outside goes wrong, and how long it takes."""

from random import Random

import attrs
import trio

from runtime.sim.faults import NO_CHANCES, Chances
from runtime.sim.trace import Trace

AT_ONCE = 0.6
"""How often a quick answer takes no time at all, which others then race with."""


@attrs.define(eq=False)
class Luck:
    """Draws from `random` what the chances say, while they hold. What happened is traced."""

    random: Random
    trace: Trace
    chances: Chances = NO_CHANCES

    def happens(self, what: str) -> bool:
        chance: float = getattr(self.chances, what)
        if not chance or self.random.random() >= chance:
            return False
        self.trace.note("fault", what)
        return True

    async def takes(self, least_s: float, most_s: float) -> None:
        """Wait as long as something takes that goes well. A checkpoint."""
        await trio.sleep(self.random.uniform(least_s, most_s))

    async def may_take(self, least_s: float, most_s: float) -> None:
        """Wait as long as something takes that is often there at once. A checkpoint."""
        if self.random.random() < AT_ONCE:
            await trio.lowlevel.checkpoint()
        else:
            await self.takes(least_s, most_s)

    def heal(self) -> None:
        self.chances = NO_CHANCES
