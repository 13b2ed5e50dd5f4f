"""The cache's twin in the process: the same port without a server, on Trio's clock."""

from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import attrs
import trio

from runtime.cache.port import (
    STREAM_START,
    Presence,
    StreamEntry,
    check_key,
    check_keys,
    check_read,
    check_ttl,
    check_value,
)
from runtime.cache.subscriptions import Subscription, Subscriptions
from runtime.parking import monotonic
from runtime.policies.gcra import MICROSECONDS, LocalLimits
from runtime.policies.limits import Limit, Verdict, check_cost

ENTRIES_MAX = 10_000
BYTES_MAX = 64 * 1024 * 1024
"""Of keys and values together."""
STREAMS_MAX = 256


@attrs.define
class _Stream:
    entries: deque[tuple[int, bytes]] = attrs.field(factory=deque)
    last: int = 0
    grown: trio.Event = attrs.field(factory=trio.Event)


class MemoryCache:
    """Values least recently used make room for new ones. Never away.

    Where it does not `yield`, its operations are no checkpoints; for those who have one of their
    own around each.
    """

    def __init__(
        self, random: Random, *, entries_max: int = ENTRIES_MAX, yields: bool = True
    ) -> None:
        self._yields = yields
        self._entries: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._entries_max = entries_max
        self._bytes = 0
        self._limits = LocalLimits(random)
        self._subscriptions = Subscriptions()
        self._streams: OrderedDict[str, _Stream] = OrderedDict()

    @property
    def presence(self) -> Presence:
        return Presence.IN_PROCESS

    async def _arrive(self) -> None:
        if self._yields:
            await trio.lowlevel.checkpoint()

    async def get(self, key: str) -> bytes | None:
        check_key(key)
        await self._arrive()
        entry = self._entries.get(key)
        if entry is None:
            return None
        value, ends_at = entry
        if monotonic() >= ends_at:
            self._remove(key)
            return None
        self._entries.move_to_end(key)
        return value

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        check_key(key)
        check_value(value)
        check_ttl(ttl_s)
        await self._arrive()
        self._remove(key)
        self._entries[key] = (value, monotonic() + ttl_s)
        self._bytes += len(key) + len(value)
        while len(self._entries) > self._entries_max or self._bytes > BYTES_MAX:
            self._remove(next(iter(self._entries)))

    async def delete(self, *keys: str) -> None:
        check_keys(keys)
        await self._arrive()
        for key in keys:
            self._remove(key)

    def _remove(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= len(key) + len(entry[0])

    async def take(self, key: str, limit: Limit, cost: int = 1) -> Verdict:
        check_cost(limit, cost)
        await self._arrive()
        return self._limits.take(key, limit, cost, round(monotonic() * MICROSECONDS))

    async def publish(self, channel: str, payload: bytes) -> None:
        check_value(payload)
        await self._arrive()
        self._subscriptions.publish(channel, payload)

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[Subscription]:
        with self._subscriptions.added(channel) as subscription:
            yield subscription

    async def append(self, stream: str, payload: bytes, length_max: int) -> str:
        check_value(payload)
        await self._arrive()
        kept = self._stream(stream)
        kept.last += 1
        kept.entries.append((kept.last, payload))
        while len(kept.entries) > length_max:
            kept.entries.popleft()
        grown, kept.grown = kept.grown, trio.Event()
        grown.set()
        return f"{kept.last}-0"

    async def read(
        self, stream: str, after: str, limit: int, wait_s: float = 0.0
    ) -> list[StreamEntry]:
        check_read(limit, wait_s)
        await self._arrive()
        behind = int(after.partition("-")[0])
        found = self._behind(stream, behind, limit)
        with trio.move_on_after(wait_s):
            while not found and wait_s > 0:
                await self._stream(stream).grown.wait()
                found = self._behind(stream, behind, limit)
        return found

    def _stream(self, name: str) -> _Stream:
        """Made where it is new; the one least recently used makes room."""
        stream = self._streams.setdefault(name, _Stream())
        self._streams.move_to_end(name)
        if len(self._streams) > STREAMS_MAX:
            self._streams.popitem(last=False)
        return stream

    def _behind(self, stream: str, behind: int, limit: int) -> list[StreamEntry]:
        kept = self._streams.get(stream)
        entries = kept.entries if kept is not None else ()
        found = [StreamEntry(f"{id_}-0", payload) for id_, payload in entries if id_ > behind]
        return found[:limit]

    async def last_id(self, stream: str) -> str:
        await self._arrive()
        kept = self._streams.get(stream)
        return f"{kept.last}-0" if kept is not None and kept.last else STREAM_START

    def close(self) -> None:
        """Ends all subscriptions."""
        self._subscriptions.close()
