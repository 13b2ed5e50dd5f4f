"""A provider of texts in the simulated world: it forgets answers, and knows no keys."""

from collections import Counter
from datetime import datetime

import attrs
import trio

from actors.outgoing.ports import (
    Accepted,
    FailedForGood,
    FailedForNow,
    Sent,
    Text,
    TextState,
    TextStatus,
)
from runtime.sim import World
from runtime.sim.provider import ProviderFailed


@attrs.define(eq=False)
class Taken:
    """What the provider has: texts by their id, and how often each body was taken."""

    texts: dict[str, Text] = attrs.field(factory=dict)
    bodies: Counter[str] = attrs.field(factory=Counter)
    asked: int = 0
    another: trio.Event = attrs.field(factory=trio.Event)

    def take(self, provider_id: str, text: Text) -> None:
        self.texts[provider_id] = text
        self.bodies[text.body] += 1
        self.another.set()
        self.another = trio.Event()

    async def of_body(self, body: str) -> str:
        """The id of the first text with this body, as soon as there is one."""
        while not self.bodies[body]:
            await self.another.wait()
        return next(sid for sid, text in self.texts.items() if text.body == body)


@attrs.frozen
class SimulatedTexter:
    """One process's way to the provider; `taken` is the provider's, and outlives processes."""

    world: World
    taken: Taken
    honours_keys: bool = False

    async def send(self, merchant_id: str, text: Text, idempotency_key: str) -> Sent:
        self.taken.asked += 1
        provider_id = f"SM{self.taken.asked:08d}"
        key = f"text {provider_id} {idempotency_key}"
        try:
            await self.world.provider.send(key, text.body)
        except ProviderFailed as error:
            if key in self.world.provider.done:
                self.taken.take(provider_id, text)
            return FailedForNow("failed", str(error), uncertain=True)
        self.taken.take(provider_id, text)
        return Accepted(provider_id)

    async def find(
        self, merchant_id: str, text: Text, since: datetime
    ) -> Accepted | FailedForNow | None:
        await self.world.provider.luck.takes(0.01, 0.2)
        for provider_id, known in self.taken.texts.items():
            if known.body == text.body:
                return Accepted(provider_id)
        return None

    async def status(
        self, merchant_id: str, provider_id: str
    ) -> TextStatus | FailedForGood | FailedForNow:
        await self.world.provider.luck.takes(0.01, 0.2)
        if provider_id not in self.taken.texts:
            return FailedForGood("20404", "there is no such text")
        return TextStatus(provider_id, "sent", TextState.SENT)
