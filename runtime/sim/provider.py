"""A simulated provider: somebody outside who is sent things, such as mail, and honours keys."""

import attrs
import trio

from runtime.sim.chance import Luck
from runtime.sim.trace import Trace

ANSWER_S = (0.01, 0.2)
SLOW_S = (1.0, 20.0)


class ProviderFailed(Exception):
    """The provider refused, or its answer was lost: then it may have done what it was asked."""


@attrs.define(eq=False)
class SimulatedProvider:
    """Does once what it is asked under one key, however often it is asked.

    `done` are the keys in the order of their effects, `asked` counts all requests.
    """

    luck: Luck
    trace: Trace
    done: dict[str, object] = attrs.field(factory=dict)
    asked: int = 0

    async def send(self, key: str, what: object) -> None:
        """Raises `ProviderFailed`. Cancelled, it may have happened."""
        self.asked += 1
        await self.luck.takes(*ANSWER_S)
        if self.luck.happens("provider_fails"):
            raise ProviderFailed("the provider refuses (simulated)")
        if self.luck.happens("provider_slow"):
            await self.luck.takes(*SLOW_S)
        self.done.setdefault(key, what)
        self.trace.note("provider", key)
        await trio.lowlevel.checkpoint()
        if self.luck.happens("provider_fails"):
            raise ProviderFailed("the answer was lost (simulated)")
