"""The actor that keeps merchants."""

from typing import Any, ClassVar

import attrs

from actors.core.messages import GetMerchant, Merchant, RegisterMerchant
from actors.core.model import check_currency, check_id
from actors.core.queries import SELECT_MERCHANT
from actors.core.records import merchant_entry, merchant_of
from actors.vocabulary import Refusal, RefusalKind
from runtime import Actor, ActorError
from runtime.journal import JOURNAL, Append, Rejected
from runtime.storage import Database, StorageError
from runtime.storage.outbox import event_write

MAX_CACHED = 10_000


class Merchants(Actor):
    """Registers merchants and answers for those it has seen from memory."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cache: dict[str, Merchant] = {}

    async def receive(self, message: Any) -> object:
        match message:
            case GetMerchant():
                return await self._get(message.merchant_id)
            case RegisterMerchant():
                return await self._register(message)
        return await super().receive(message)

    async def _get(self, merchant_id: str) -> Merchant | None:
        merchant = self._cache.get(merchant_id)
        if merchant is not None:
            return merchant
        row = await self._database.fetch_row(SELECT_MERCHANT, merchant_id)
        return self._remember(merchant_of(row)) if row is not None else None

    async def _register(self, message: RegisterMerchant) -> Merchant | Refusal:
        refusal = check_id("merchant_id", message.merchant_id) or check_currency(message.currency)
        if refusal is not None:
            return refusal
        wanted = Merchant(
            message.merchant_id, message.name, message.currency, self.system.clock.now()
        )
        known = await self._get(message.merchant_id)
        if known is None:
            events = tuple(map(event_write, message.publishes))
            append = Append((*merchant_entry(wanted), *events), publishes=bool(events))
            answer = await self.system.ref(JOURNAL).ask(append)
            if not isinstance(answer, Rejected):
                return self._remember(wanted)
            # The commit of an earlier try was under way when the merchant was looked up.
            known = await self._get(message.merchant_id)
        if known is not None and attrs.evolve(wanted, created_at=known.created_at) == known:
            return known
        detail = f"merchant {wanted.merchant_id} is registered with another name or currency"
        return Refusal(RefusalKind.CONFLICT, "merchant_conflict", detail)

    def _remember(self, merchant: Merchant) -> Merchant:
        if len(self._cache) >= MAX_CACHED:
            self._cache.clear()
        self._cache[merchant.merchant_id] = merchant
        return merchant
