"""The actor that takes what the provider tells of texts."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import msgspec

from actors.outgoing.ports import TextStatus
from actors.outgoing.twilio import ERROR_CODE, SID, STATUS, status_of, status_url
from actors.referrals.message_queries import SELECT_BY_PROVIDER_ID, SELECT_STATUS
from actors.referrals.messages import (
    TEXT_STATUS_TOLD,
    MessageState,
    ReceiveTextStatus,
    TextStatusTaken,
    TextStatusTold,
)
from actors.referrals.metrics import ReferralMetrics
from actors.referrals.model import RANKS
from actors.referrals.records import message_of
from actors.referrals.sending import count_message
from actors.referrals.statuses import status_entry
from actors.vocabulary import Refusal, RefusalKind
from runtime import ActorError, Workers
from runtime.journal import JOURNAL, Append
from runtime.registries import in_registry
from runtime.storage import Database, StorageError, Write
from runtime.storage.outbox import outbox_write

Form = Sequence[tuple[str, str]]
Signed = Callable[[str, str, Form], bool]
"""Whether the provider signed this form (the last) for this URL (the second)."""

NOT_SIGNED = Refusal(
    RefusalKind.INVALID, "signature_invalid", "not signed by the provider of texts"
)
NO_STATUS = Refusal(
    RefusalKind.INVALID, "status_unknown", "a status names a text and a word that is known here"
)


def nobody_signs(_signature: str, _url: str, _form: Form) -> bool:
    """Where no provider is configured."""
    return False


class TextCallbacks(Workers):
    """Nothing is believed, or even read, before its signature is. Repetitions and replays change
    nothing: each word about a text counts once, and never takes it back. What is told of texts
    that no invitation is known to have sent is published for others who send some."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database, public_url: str | None, signed: Signed) -> None:
        super().__init__()
        self._database = database
        self._public_url = public_url
        self._signed = signed

    async def started(self) -> None:
        self._metrics = in_registry(self.system.metrics.registry, ReferralMetrics)

    async def receive(self, message: Any) -> object:
        if not isinstance(message, ReceiveTextStatus):
            return await super().receive(message)
        url = status_url(self._public_url or "", message.merchant_id)
        if not self._signed(message.signature, url, message.form):
            self._metrics.statuses.labels("forged").inc()
            return NOT_SIGNED
        form = dict(message.form)
        told = status_of(form.get(SID), form.get(STATUS), form.get(ERROR_CODE))
        if told is None:
            return NO_STATUS
        return await self._take(message.merchant_id, told)

    async def _take(self, merchant_id: str, told: TextStatus) -> TextStatusTaken:
        """Raises what the journal and the database do."""
        row = await self._database.fetch_row(SELECT_BY_PROVIDER_ID, merchant_id, told.provider_id)
        known = message_of(row) if row is not None else None
        entry = status_entry(merchant_id, told, self.system.clock.now())
        if known is None:
            entry += (self._event(merchant_id, told),)
        append = Append(entry, publishes=known is None)
        rejected = await self.system.ref(JOURNAL).ask(append)
        if rejected is not None:
            values = (merchant_id, told.provider_id, told.status)
            if await self._database.fetch_value(SELECT_STATUS, *values) is None:
                raise rejected.violation
            self._metrics.statuses.labels("duplicate").inc()
            return TextStatusTaken(duplicate=True)
        state = MessageState(told.state.value)
        self._metrics.statuses.labels("parked" if known is None else "taken").inc()
        if known is not None and RANKS[state] > RANKS[known.state]:
            count_message(self.system, known.channel, state)
        return TextStatusTaken(duplicate=False, parked=known is None)

    def _event(self, merchant_id: str, told: TextStatus) -> Write:
        return outbox_write(
            merchant_id=merchant_id,
            event_id=self.system.ids.new("ev"),
            topic=TEXT_STATUS_TOLD,
            key=told.provider_id,
            payload=msgspec.to_builtins(TextStatusTold(told.provider_id, told.state, told.detail)),
            created_at=self.system.clock.now(),
        )
