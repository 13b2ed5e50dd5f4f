"""What providers tell of messages that were sent, and what becomes of their deliveries by it."""

from collections.abc import Mapping
from typing import Final

import attrs
import msgspec
import structlog

from actors.campaign.delivery_messages import DeliveryState, ReportDelivery
from actors.campaign.delivery_queries import (
    REPORT_DELIVERY,
    SELECT_BY_PROVIDER,
    SELECT_IN_HAND,
)
from actors.campaign.delivery_records import delivery_of
from actors.campaign.early_news import keep_write, known_news, old_news
from actors.campaign.messages import SendChannel
from actors.outgoing.ports import TextState
from actors.referrals.messages import TextStatusTold
from runtime import ActorSystem
from runtime.journal import JOURNAL, Append
from runtime.outbox import OutboxEvent
from runtime.storage import Database, Superseded, Write

log = structlog.get_logger("loyalnest.campaign")

AHEAD: Final = {
    DeliveryState.SENT: {DeliveryState.UNKNOWN},
    DeliveryState.DELIVERED: {DeliveryState.SENT, DeliveryState.UNKNOWN},
    DeliveryState.FAILED: {DeliveryState.SENT, DeliveryState.UNKNOWN},
    DeliveryState.UNKNOWN: {DeliveryState.SENT},
}
"""From which states a provider's report leads on to a state."""

COME_TO: Mapping[TextState, DeliveryState] = {
    TextState.SENT: DeliveryState.SENT,
    TextState.DELIVERED: DeliveryState.DELIVERED,
    TextState.UNDELIVERED: DeliveryState.FAILED,
    TextState.OPTED_OUT: DeliveryState.FAILED,
    TextState.FAILED: DeliveryState.FAILED,
}


@attrs.frozen
class Reports:
    """Nothing goes backwards, so that what is told again, or in another order, changes nothing.
    Raises what the store and the journal do."""

    system: ActorSystem
    database: Database

    async def report(self, message: ReportDelivery) -> bool:
        """False when no delivery has this id, yet."""
        values = (message.merchant_id, message.channel.value, message.provider_id)
        row = await self.database.fetch_row(SELECT_BY_PROVIDER, *values)
        if row is None:
            return False
        known = delivery_of(row)
        if known.state not in AHEAD.get(message.state, set()):
            return True
        write = Write(
            REPORT_DELIVERY,
            (
                message.merchant_id,
                known.delivery_id,
                message.state.value,
                message.reason or ("reported" if message.state is DeliveryState.FAILED else None),
                self.system.clock.now(),
                known.state.value,
            ),
        )
        answer = await self.system.ref(JOURNAL).ask(Append((write,)))
        if answer is not None and not isinstance(answer.violation, Superseded):
            raise answer.violation
        if answer is None and message.state is DeliveryState.FAILED:
            log.warning("delivery_not_brought", delivery=known.delivery_id, reason=message.reason)
        return True

    async def text_told(self, event: OutboxEvent) -> None:
        """Whether texts are in hand is looked at first: one that the provider has told of is in
        hand by then, or has its id already."""
        told = msgspec.convert(event.payload, TextStatusTold)
        state = COME_TO[told.state]
        in_hand = await self._in_hand(event.merchant_id)
        report = ReportDelivery(
            merchant_id=event.merchant_id,
            channel=SendChannel.SMS,
            provider_id=told.provider_id,
            state=state,
            reason=reason_of(told.state, told.reason) if state is DeliveryState.FAILED else None,
        )
        if await self.report(report) or not in_hand or state is DeliveryState.SENT:
            return
        await self._append(keep_write(report, self.system.clock.now()))

    async def catch_up(self) -> tuple[Write, ...]:
        """Report what was told too early and is known by now; what is to be forgotten then."""
        known = await known_news(self.database)
        for news in known:
            await self.report(news.report)
        old = await old_news(self.database, self.system.clock.now())
        return tuple(news.forget_write() for news in (*known, *old))

    async def _append(self, write: Write) -> None:
        answer = await self.system.ref(JOURNAL).ask(Append((write,)))
        if answer is not None:
            raise answer.violation

    async def _in_hand(self, merchant_id: str) -> bool:
        values = (merchant_id, SendChannel.SMS.value)
        return await self.database.fetch_value(SELECT_IN_HAND, *values) is not None


def reason_of(state: TextState, code: str | None) -> str:
    """Why a text was not brought: the provider's word, and its code where it has one."""
    return state.value if code is None else f"{state.value}: {code}"
