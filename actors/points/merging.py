"""Two customers turn out to be one: the points of the one that ends go to the other."""

from typing import Any, ClassVar, Final

import attrs
import msgspec
import structlog

from actors.core.messages import CustomersMerged
from actors.points.messages import (
    ACCOUNTS,
    AccountKey,
    BalanceView,
    GetBalance,
    Transfer,
    TransferReceipt,
)
from actors.points.transferring import Lead, leader_of
from actors.points.transfers import TOO_MANY_LOTS
from actors.vocabulary import MAX_AMOUNT, Idempotency, Refusal, RefusalKind
from runtime import ActorError, Workers
from runtime.context import under_trace
from runtime.outbox import Deliver, OutboxEvent
from runtime.storage import StorageError

REASON: Final = "merged"
TRANSFERS_MAX: Final = 32
"""For one merger: points with very many dates of expiry go in parts."""

log = structlog.get_logger("loyalnest.points")


class Mergers(Workers):
    """Transfers what is available. What is held, or not ripe yet, stays with the account that ends,
    and so does what a merchant's program refuses; both are logged."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    async def receive(self, message: Any) -> object:
        if not isinstance(message, Deliver):
            return await super().receive(message)
        for event in message.events:
            with under_trace(event.trace_id):
                await self._merge(event)
        return None

    async def _merge(self, event: OutboxEvent) -> None:
        """Returns when it is durable; raises when not sure. Again it finds less to do."""
        told = msgspec.convert(event.payload, CustomersMerged)
        ending = AccountKey(event.merchant_id, told.customer_id)
        part_max = MAX_AMOUNT
        for _ in range(TRANSFERS_MAX):
            left = await self._available(ending)
            if left <= 0:
                return
            part = min(left, part_max)
            # By what is left, a part that was delivered twice is told from the next one.
            key = f"merged:{event.event_id}:{left}:{part}"
            moved = await self._move(ending, told.into, part, key)
            if isinstance(moved, TransferReceipt):
                continue
            if moved.code != TOO_MANY_LOTS:
                _left(told, left, moved.code)
                return
            part_max = (part + 1) // 2
        _left(told, await self._available(ending), TOO_MANY_LOTS)

    async def _available(self, account: AccountKey) -> int:
        view = await self.system.entities(ACCOUNTS).ref(account).ask(GetBalance())
        return view.balance.available if isinstance(view, BalanceView) else 0

    async def _move(
        self, ending: AccountKey, into: str, amount: int, key: str
    ) -> TransferReceipt | Refusal:
        transfer = Transfer(
            idempotency=Idempotency(key, key),
            from_customer_id=ending.customer_id,
            to_customer_id=into,
            amount=amount,
            reason=REASON,
        )
        leader = attrs.evolve(ending, customer_id=leader_of(transfer))
        answer = await self.system.entities(ACCOUNTS).ref(leader).ask(Lead(transfer))
        if isinstance(answer, Refusal) and answer.kind is RefusalKind.UNAVAILABLE:
            raise StorageError(answer.detail)
        return answer


def _left(told: CustomersMerged, points: int, code: str) -> None:
    log.warning("merger_left_points", customer=told.customer_id, points=points, code=code)
