"""The actor that keeps merchants."""

from typing import Any, ClassVar
from zoneinfo import available_timezones

import attrs

from actors.core.contacts import email_key
from actors.core.merchant_store import (
    CachedMerchants,
    MerchantUnknown,
    current_settings,
    settings_row,
)
from actors.core.messages import (
    ChangePlan,
    ChangeSettings,
    GetMerchant,
    GetSettings,
    Merchant,
    MerchantSettings,
    Plan,
    RegisterMerchant,
    RenameMerchant,
    SettingsVersion,
)
from actors.core.model import check_currency, check_id, invalid
from actors.core.queries import (
    END_SUBSCRIPTION,
    INSERT_SETTINGS,
    INSERT_SUBSCRIPTION,
    RENAME_MERCHANT,
    SELECT_MERCHANT,
)
from actors.core.quotas import Quotas, plan_in_force
from actors.core.records import merchant_entry, merchant_of
from actors.vocabulary import Refusal, RefusalKind
from runtime import Actor, ActorError
from runtime.journal import JOURNAL, Append, Rejected
from runtime.outbox import OutboxEvent
from runtime.storage import Database, Entry, StorageError, Write
from runtime.storage.outbox import event_write

TIME_ZONES = frozenset(available_timezones())
TEXT_MAX = 200


class Merchants(Actor):
    """The only writer of merchants in its process."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database, cached: CachedMerchants, quotas: Quotas) -> None:
        self._database = database
        self._cached = cached
        self._quotas = quotas

    async def receive(self, message: Any) -> object:
        match message:
            case GetMerchant():
                return await self._get(message.merchant_id)
            case RegisterMerchant():
                return await self._register(message)
            case RenameMerchant():
                return await self._rename(message)
            case GetSettings():
                return await current_settings(self._database, message.merchant_id)
            case ChangeSettings():
                return await self._change_settings(message)
            case ChangePlan():
                return await self._change_plan(message)
        return await super().receive(message)

    async def _get(self, merchant_id: str) -> Merchant | None:
        async def load() -> Merchant:
            row = await self._database.fetch_row(SELECT_MERCHANT, merchant_id)
            if row is None:
                raise MerchantUnknown(merchant_id)
            return merchant_of(row)

        try:
            return await self._cached.get(merchant_id, load)
        except MerchantUnknown:
            return None

    async def _register(self, message: RegisterMerchant) -> Merchant | Refusal:
        refusal = check_id("merchant_id", message.merchant_id) or check_currency(message.currency)
        if refusal is not None:
            return refusal
        wanted = Merchant(
            message.merchant_id, message.name, message.currency, self.system.clock.now()
        )
        known = await self._get(message.merchant_id)
        if known is None:
            rejected = await self._write(
                merchant_entry(wanted), message.merchant_id, message.publishes
            )
            if rejected is None:
                return wanted
            # The commit of an earlier try was under way when the merchant was looked up.
            known = await self._get(message.merchant_id)
        if known is not None and attrs.evolve(wanted, created_at=known.created_at) == known:
            return known
        detail = f"merchant {wanted.merchant_id} is registered with another name or currency"
        return Refusal(RefusalKind.CONFLICT, "merchant_conflict", detail)

    async def _write(
        self, entry: Entry, merchant_id: str, publishes: tuple[OutboxEvent, ...] = ()
    ) -> Rejected | None:
        events = tuple(map(event_write, publishes))
        append = Append((*entry, *events), publishes=bool(events))
        try:
            return await self.system.ref(JOURNAL).ask(append)
        finally:
            await self._cached.outdate(merchant_id)

    async def _rename(self, message: RenameMerchant) -> Merchant | Refusal:
        merchant = await self._get(message.merchant_id)
        if merchant is None:
            return _unknown(message.merchant_id)
        if not 1 <= len(message.name) <= TEXT_MAX:
            return invalid("invalid_name", f"a name has 1 to {TEXT_MAX} characters")
        entry = (Write(RENAME_MERCHANT, (message.merchant_id, message.name)),)
        rejected = await self._write(entry, message.merchant_id, message.publishes)
        if rejected is not None:
            raise rejected.violation
        return attrs.evolve(merchant, name=message.name)

    async def _change_settings(self, message: ChangeSettings) -> SettingsVersion | Refusal:
        refusal = check_settings(message.settings)
        if refusal is not None:
            return refusal
        if await self._get(message.merchant_id) is None:
            return _unknown(message.merchant_id)
        current = await current_settings(self._database, message.merchant_id)
        if current.settings == message.settings:
            return current
        if current.version != message.based_on:
            return _outdated(current.version)
        now = self.system.clock.now()
        version = SettingsVersion(current.version + 1, message.settings, message.changed_by, now)
        write = Write(INSERT_SETTINGS, settings_row(message.merchant_id, version))
        if await self._write((write,), message.merchant_id, message.publishes) is not None:
            return _outdated(version.version)
        return version

    async def _change_plan(self, message: ChangePlan) -> Plan | Refusal:
        if await self._get(message.merchant_id) is None:
            return _unknown(message.merchant_id)
        now = self.system.clock.now()
        plan, since = await plan_in_force(self._database, message.merchant_id, now)
        if plan is message.plan and since is not None:
            return plan
        entry = (
            Write(END_SUBSCRIPTION, (message.merchant_id, now)),
            Write(INSERT_SUBSCRIPTION, (message.merchant_id, now, message.plan.value)),
        )
        rejected = await self._write(entry, message.merchant_id, message.publishes)
        self._quotas.forget(message.merchant_id)
        if rejected is not None:
            detail = "the plan was changed at the same time; try again"
            return Refusal(RefusalKind.CONFLICT, "plan_conflict", detail)
        return message.plan


def check_settings(settings: MerchantSettings) -> Refusal | None:
    """What must hold of them."""
    if settings.time_zone not in TIME_ZONES:
        return invalid("invalid_time_zone", f"{settings.time_zone[:80]!r} is no IANA time zone")
    if settings.support_email is not None:
        key = email_key(settings.support_email)
        if isinstance(key, Refusal):
            return key
    return None


def _outdated(version: int) -> Refusal:
    detail = f"the settings are at version {version} by now; read them again"
    return Refusal(RefusalKind.CONFLICT, "settings_conflict", detail)


def _unknown(merchant_id: str) -> Refusal:
    detail = f"there is no merchant {merchant_id[:64]}"
    return Refusal(RefusalKind.NOT_FOUND, "merchant_unknown", detail)
