"""A mailer for simulations: the world's provider behind the port of mail."""

import attrs

from actors.outgoing.ports import Accepted, FailedForNow, Mail, Sent
from runtime.sim import World
from runtime.sim.provider import ProviderFailed

COME_BACK_S = 2.0


@attrs.frozen
class SimulatedMailer:
    """Brings mail by the world's provider, which honours keys."""

    world: World
    honours_keys: bool = True

    async def send(self, mail: Mail, idempotency_key: str) -> Sent:
        try:
            await self.world.provider.send(idempotency_key, (mail.subject, mail.to))
        except ProviderFailed as error:
            return FailedForNow("busy", str(error), retry_after_s=COME_BACK_S, uncertain=True)
        return Accepted(f"p-{idempotency_key}")
