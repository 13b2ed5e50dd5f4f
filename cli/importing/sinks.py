"""Where orders go to: the tree in this process, or a server that has the database."""

from collections.abc import Sequence
from typing import Protocol

import attrs

from actors.core.messages import (
    MERCHANTS,
    ORDERS,
    GetMerchant,
    Merchant,
    Order,
    RecordOrders,
    RegisterMerchant,
)
from actors.points.messages import QUERIES, EarnRule, GetEarnRule
from actors.vocabulary import Refusal
from cli.errors import CommandFailed
from cli.importing.tally import Outcome
from runtime import ActorSystem
from runtime.outbox import RELAY, GetBacklog

SEND_TIMEOUT_S = 60.0


class Sink(Protocol):
    """What an import needs from the other side, for one merchant."""

    async def prepare(self, currency: str) -> str | None:
        """Make sure that the merchant exists; a notice when it was registered for this."""

    async def send(self, orders: Sequence[Order]) -> list[Outcome]:
        """Record orders; an outcome each, in order. Sending again is harmless."""

    async def backlog(self) -> int | None:
        """How many orders still wait for their points; `None` when that cannot be known."""

    async def earn_rule(self, currency: str) -> EarnRule | None:
        """The rule by which orders earn, if it can be known."""


@attrs.frozen
class LocalSink:
    """Records orders in the tree of this process."""

    _system: ActorSystem
    _merchant_id: str

    async def prepare(self, currency: str) -> str | None:
        merchants = self._system.ref(MERCHANTS)
        if await merchants.ask(GetMerchant(self._merchant_id)) is not None:
            return None
        answer = await merchants.ask(
            RegisterMerchant(self._merchant_id, self._merchant_id, currency)
        )
        if not isinstance(answer, Merchant):
            raise CommandFailed(f"merchant {self._merchant_id}: {answer.detail}")
        return f"merchant {self._merchant_id} was unknown; registered it with {currency}"

    async def send(self, orders: Sequence[Order]) -> list[Outcome]:
        results = await self._system.ref(ORDERS).ask(
            RecordOrders(self._merchant_id, tuple(orders)), timeout_s=SEND_TIMEOUT_S
        )
        return [result if isinstance(result, Refusal) else result.status for result in results]

    async def backlog(self) -> int | None:
        return await self._system.ref(RELAY).ask(GetBacklog(), timeout_s=SEND_TIMEOUT_S)

    async def earn_rule(self, currency: str) -> EarnRule | None:
        return await self._system.ref(QUERIES).ask(GetEarnRule(self._merchant_id, currency))
