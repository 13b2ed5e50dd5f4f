"""The domain's mirrors in the cache: one of each kind for all its actors."""

from datetime import UTC, datetime

import attrs

from actors.core.merchant_store import CachedMerchants, cached_merchants
from actors.core.profiles import CachedCustomers, cached_customers
from runtime.cache import CacheHandle

NEWEST = (datetime.max.replace(tzinfo=UTC), "")
"""Comes before every time and id in a list that has the newest first."""


@attrs.frozen
class Mirrors:
    """Who writes something has it outdated here, so that its own process reads it back."""

    merchants: CachedMerchants
    customers: CachedCustomers

    @classmethod
    def on(cls, cache: CacheHandle) -> "Mirrors":
        return cls(cached_merchants(cache), cached_customers(cache))
