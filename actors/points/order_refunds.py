"""The actor that takes points back when core tells of refunds and cancellations."""

from typing import Any, ClassVar

import msgspec
import structlog

from actors.core.messages import OrderRefunded
from actors.points.campaign_rules import LastRules, promotions_of
from actors.points.decide import business_key
from actors.points.eligibility import earn_for, eligible_totals
from actors.points.messages import (
    ACCOUNTS,
    QUERIES,
    AccountKey,
    Apply,
    GetEarnRule,
    Result,
    Reverse,
)
from actors.points.queries import SELECT_BY_BUSINESS_KEY
from actors.points.questions import fetch_by_ids
from actors.vocabulary import Idempotency, Refusal, RefusalKind
from runtime import ActorError, Workers
from runtime.context import under_trace
from runtime.outbox import Deliver, OutboxEvent
from runtime.storage import Database, Row, StorageError

log = structlog.get_logger("loyalnest.points")

REASON = "refund"


def taken_back(earned: int, total_minor: int, refunded_minor: int) -> int:
    """How many of the points of an order are gone when so much of its total was refunded: the
    customer keeps the share of what was kept, rounded down, and nothing of nothing."""
    if not total_minor:
        return 0
    return earned - earned * (total_minor - refunded_minor) // total_minor


class OrderRefunds(Workers):
    """Each refund takes back the difference between what should be gone after it and before it, so
    that partial refunds add up without drift, in whatever order they arrive.

    What a refund policy keeps from being taken back is left, and logged.
    """

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database, last_rules: LastRules) -> None:
        super().__init__()
        self._database = database
        self._last_rules = last_rules

    async def receive(self, message: Any) -> object:
        if not isinstance(message, Deliver):
            return await super().receive(message)
        for event in message.events:
            with under_trace(event.trace_id):
                await self._take_back(event)
        return None

    async def _take_back(self, event: OutboxEvent) -> None:
        """Returns when it is durable. Raises `ActorError` when not sure."""
        told = msgspec.convert(event.payload, OrderRefunded)
        earning = await self._earning(event.merchant_id, told)
        if earning is None:
            return
        earned, total = earning["amount"], told.order.total_minor
        gone = taken_back(earned, total, told.refunded_minor)
        amount = gone - taken_back(earned, total, told.before_minor)
        if amount <= 0:
            return
        reference = f"refund:{told.order.order_id}:{told.refund_id}"
        reverse = Reverse(
            idempotency=Idempotency(reference, reference),
            transaction_id=earning["transaction_id"],
            amount=amount,
            reason=REASON,
        )
        key = AccountKey(event.merchant_id, earning["customer_id"])
        (result,) = await self.system.entities(ACCOUNTS).ref(key).ask(Apply((reverse,)))
        _tell(told, result)

    async def _earning(self, merchant_id: str, told: OrderRefunded) -> Row | None:
        """The transaction that the order earned by, made sure of: its own event may come later.
        None where it earns nothing."""
        found = await self._find(merchant_id, told.order.order_id)
        if found is not None:
            return found
        order = told.order
        told_of = [(merchant_id, order)]
        (eligible,) = await eligible_totals(self.system, told_of)
        (promotions,) = await promotions_of(self.system, self._last_rules, told_of)
        rule = await self.system.ref(QUERIES).ask(GetEarnRule(merchant_id, order.currency))
        earn = earn_for(order, eligible, rule, promotions)
        key = AccountKey(merchant_id, order.customer_id)
        await self.system.entities(ACCOUNTS).ref(key).ask(Apply((earn,)))
        return await self._find(merchant_id, order.order_id)

    async def _find(self, merchant_id: str, order_id: str) -> Row | None:
        rows = await fetch_by_ids(
            self._database, SELECT_BY_BUSINESS_KEY, merchant_id, [business_key(order_id)]
        )
        return rows[0] if rows else None


def _tell(told: OrderRefunded, result: Result) -> None:
    if not isinstance(result, Refusal):
        return
    if result.kind is RefusalKind.UNAVAILABLE:
        raise StorageError(result.detail)
    log.warning(
        "refund_left_points", order=told.order.order_id, refund=told.refund_id, code=result.code
    )
