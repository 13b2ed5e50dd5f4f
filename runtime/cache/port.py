"""The cache port: what Redis and its twin in the process both do, and the values they exchange.

`docs/cache.md` shows how to use it. All times to live and waits are seconds.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import Protocol

import attrs

from runtime.cache.subscriptions import Subscription
from runtime.policies.limits import Limit, Verdict

KEY_BYTES_MAX = 512
VALUE_BYTES_MAX = 1_000_000
KEYS_MAX = 1_000
"""Of one `delete`."""
TTL_MAX_S = 30 * 24 * 3_600.0
READ_MAX = 1_000
"""Entries of a stream in one answer."""
WAIT_MAX_S = 60.0

STREAM_START = "0-0"
"""The id before the first entry of any stream."""


class Presence(Enum):
    """How the cache is, as `/health` tells it."""

    UP = "up"
    DOWN = "down"
    IN_PROCESS = "in process"


@attrs.frozen
class StreamEntry:
    """`entry_id` is opaque, but for the order of one stream."""

    entry_id: str
    payload: bytes


class Cache(Protocol):
    """Everything in it may vanish at any time.

    Every method but `subscribe` is a checkpoint, ends within the adapter's time limit, and
    raises `CacheUnavailable` where the cache is away and `CacheRefused` where it refuses. A
    cancelled or failed write may have happened. `ValueError` for what breaks a bound above.
    """

    @property
    def presence(self) -> Presence: ...

    async def get(self, key: str) -> bytes | None: ...

    async def set(self, key: str, value: bytes, ttl_s: float) -> None: ...

    async def delete(self, *keys: str) -> None: ...

    async def take(self, key: str, limit: Limit, cost: int = 1) -> Verdict:
        """Take `cost`, at most the burst, of what `limit` allows for `key`."""
        ...

    async def publish(self, channel: str, payload: bytes) -> None: ...

    def subscribe(self, channel: str) -> AbstractAsyncContextManager[Subscription]:
        """Notices published from now on, in order. Never fails: see `Subscription`."""
        ...

    async def append(self, stream: str, payload: bytes, length_max: int) -> str:
        """Add an entry and forget all but the last `length_max`; the entry's id."""
        ...

    async def read(
        self, stream: str, after: str, limit: int, wait_s: float = 0.0
    ) -> list[StreamEntry]:
        """Entries behind the id `after`, the oldest first; waits up to `wait_s` for one."""
        ...

    async def last_id(self, stream: str) -> str:
        """The id of the newest entry; `STREAM_START` when there is none."""
        ...


def check_key(key: str) -> None:
    if not 1 <= len(key.encode()) <= KEY_BYTES_MAX:
        raise ValueError(f"a key has 1 to {KEY_BYTES_MAX} bytes")


def check_keys(keys: Sequence[str]) -> None:
    if len(keys) > KEYS_MAX:
        raise ValueError(f"at most {KEYS_MAX} keys at once")
    for key in keys:
        check_key(key)


def check_value(value: bytes) -> None:
    if len(value) > VALUE_BYTES_MAX:
        raise ValueError(f"a value has at most {VALUE_BYTES_MAX} bytes")


def check_ttl(ttl_s: float) -> None:
    if not 0.001 <= ttl_s <= TTL_MAX_S:
        raise ValueError(f"a time to live is 0.001 to {TTL_MAX_S:.0f} seconds")


def check_read(limit: int, wait_s: float) -> None:
    if not 1 <= limit <= READ_MAX or not 0 <= wait_s <= WAIT_MAX_S:
        raise ValueError(f"a read is of 1 to {READ_MAX} entries and waits 0 to {WAIT_MAX_S} s")
