"""Merchants and their settings between the cache, the tables and their values."""

from typing import Any

import msgspec

from actors.core.messages import Merchant, MerchantSettings, SettingsVersion
from actors.core.queries import SELECT_SETTINGS
from runtime.cache import Cached, CacheHandle, Kind
from runtime.storage import Database, Row

MERCHANT_KIND = Kind(
    "core.merchant", shared_ttl_s=3.0, local_ttl_s=2.0, blind_ttl_s=1.0, copies_max=10_000
)
"""A change is seen within 5 s, should every notice of it be lost."""

CachedMerchants = Cached[Merchant]


class MerchantUnknown(Exception):
    """There is no such merchant, now: nothing that is kept."""


def cached_merchants(cache: CacheHandle) -> CachedMerchants:
    """One for all actors of the domain."""
    return Cached(MERCHANT_KIND, Merchant, cache)


async def current_settings(database: Database, merchant_id: str) -> SettingsVersion:
    row = await database.fetch_row(SELECT_SETTINGS, merchant_id)
    return settings_of(row) if row is not None else SettingsVersion(0, MerchantSettings())


def settings_row(merchant_id: str, version: SettingsVersion) -> tuple[Any, ...]:
    settings = msgspec.to_builtins(version.settings)
    return (merchant_id, version.version, settings, version.changed_by, version.changed_at)


def settings_of(row: Row) -> SettingsVersion:
    settings = msgspec.convert(row["settings"], MerchantSettings)
    return SettingsVersion(row["version"], settings, row["changed_by"], row["changed_at"])
