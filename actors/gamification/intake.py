"""The actor that hears what happens in other domains, and deals it out to players."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec

from actors.core.messages import (
    CUSTOMER_ERASED,
    CUSTOMERS_MERGED,
    ORDER_RECORDED,
    ORDER_REFUNDED,
    CustomerErased,
    CustomersMerged,
    OrderRecorded,
    OrderRefunded,
)
from actors.gamification.facts import (
    Fact,
    fact_of_order,
    fact_of_points,
    fact_of_referral,
    fact_of_refund,
)
from actors.gamification.inside import Forget, MoveTo, Observe, Recompute
from actors.gamification.messages import (
    PLAYERS,
    PlayerKey,
)
from actors.gamification.metrics import gamification_metrics
from actors.gamification.rulebook import Rulebook
from actors.points.messages import POINTS_POSTED, PointsPosted
from actors.referrals.messages import REFERRAL_REWARDED, ReferralRewarded
from runtime import ActorError, Workers, ask_all
from runtime.context import under_trace
from runtime.outbox import Deliver, OutboxEvent
from runtime.storage import StorageError

Told = tuple[str, Fact]
"""Whom a fact is about, and the fact."""


def told_by(event: OutboxEvent) -> Iterable[Told]:
    """The facts that an event tells of."""
    match event.topic:
        case topic if topic == ORDER_RECORDED:
            order = msgspec.convert(event.payload, OrderRecorded)
            return ((order.customer_id, fact_of_order(order)),)
        case topic if topic == ORDER_REFUNDED:
            refund = msgspec.convert(event.payload, OrderRefunded)
            return ((refund.order.customer_id, fact_of_refund(refund)),)
        case topic if topic == POINTS_POSTED:
            posted = msgspec.convert(event.payload, PointsPosted)
            return [(posted.customer_id, fact_of_points(each)) for each in posted.postings]
        case topic if topic == REFERRAL_REWARDED:
            referral = msgspec.convert(event.payload, ReferralRewarded)
            return ((referral.customer_id, fact_of_referral(referral)),)
    return ()


class Intake(Workers):
    """Answers when everything that an event leads to is durable. Of merchants that have defined
    nothing, nothing is kept."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, rulebook: Rulebook) -> None:
        super().__init__()
        self._rulebook = rulebook

    async def started(self) -> None:
        gamification_metrics(self.system.metrics.registry)

    async def receive(self, message: Any) -> object:
        if not isinstance(message, Deliver):
            return await super().receive(message)
        await self._observe(message.events)
        for event in message.events:
            with under_trace(event.trace_id):
                await self._end(event)
        return None

    async def _observe(self, events: Iterable[OutboxEvent]) -> None:
        facts: dict[PlayerKey, list[Fact]] = defaultdict(list)
        traces: dict[PlayerKey, str | None] = {}
        for event in events:
            for customer_id, fact in told_by(event):
                key = PlayerKey(event.merchant_id, customer_id)
                facts[key].append(fact)
                traces.setdefault(key, event.trace_id)
        merchants = {key.merchant_id for key in facts}
        defined = {each for each in sorted(merchants) if await self._defined(each)}
        asked = [key for key in facts if key.merchant_id in defined]
        player = self.system.entities(PLAYERS).ref
        answers = await ask_all(
            [(player(key), Observe(tuple(facts[key]))) for key in asked],
            traces=[traces[key] for key in asked],
        )
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer

    async def _defined(self, merchant_id: str) -> bool:
        return (await self._rulebook.of(self.system, merchant_id)).defined

    async def _end(self, event: OutboxEvent) -> None:
        """Customers who are erased, or become another one."""
        player = self.system.entities(PLAYERS).ref
        match event.topic:
            case topic if topic == CUSTOMER_ERASED:
                erased = msgspec.convert(event.payload, CustomerErased)
                await player(PlayerKey(event.merchant_id, erased.customer_id)).ask(Forget())
            case topic if topic == CUSTOMERS_MERGED:
                merged = msgspec.convert(event.payload, CustomersMerged)
                ending = PlayerKey(event.merchant_id, merged.customer_id)
                await player(ending).ask(MoveTo(merged.into))
                into = PlayerKey(event.merchant_id, merged.into)
                await player(into).ask(Recompute(reload=True))
