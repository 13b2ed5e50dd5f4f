"""The cache: a port, Redis and a twin in the process, and what stands on them."""

from runtime.cache.away import CLOSED, OPEN, AwayRules, WhenAway
from runtime.cache.cached import Cached, Kind
from runtime.cache.errors import Away, CacheError, CacheRefused, CacheUnavailable
from runtime.cache.handle import CacheHandle
from runtime.cache.opening import open_cache
from runtime.cache.port import STREAM_START, Cache, Presence, StreamEntry
from runtime.cache.subscriptions import Missed, Notice, Subscription
from runtime.policies.limits import Limit, Verdict

__all__ = [
    "CLOSED",
    "OPEN",
    "STREAM_START",
    "Away",
    "AwayRules",
    "Cache",
    "CacheError",
    "CacheHandle",
    "CacheRefused",
    "CacheUnavailable",
    "Cached",
    "Kind",
    "Limit",
    "Missed",
    "Notice",
    "Presence",
    "StreamEntry",
    "Subscription",
    "Verdict",
    "WhenAway",
    "open_cache",
]
