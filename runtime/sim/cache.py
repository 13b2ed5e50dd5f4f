"""The simulated cache server: one that outlives processes, and their links to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from runtime.cache.errors import Away, CacheUnavailable
from runtime.cache.memory import MemoryCache
from runtime.cache.port import Presence, StreamEntry
from runtime.cache.subscriptions import Subscription, Subscriptions
from runtime.policies.limits import Limit, Verdict
from runtime.sim.chance import Luck
from runtime.sim.trace import Trace

OPERATION_S = (0.0001, 0.001)
TIMEOUT_S = 0.1
"""How long a process waits for an operation."""


class SimulatedCacheServer:
    """A Redis. While `away`, nobody reaches it; it may forget everything at any time."""

    def __init__(self, luck: Luck, trace: Trace) -> None:
        self.luck = luck
        self.trace = trace
        self.links: list[SimulatedCache] = []
        self.real = MemoryCache(luck.random, yields=False)
        self._away = False

    @property
    def away(self) -> bool:
        return self._away

    @away.setter
    def away(self, away: bool) -> None:
        self._away = away
        self.trace.note("cache", "away" if away else "back")
        if not away:
            self._tell_missed()

    def forget(self) -> None:
        """A restart without its data."""
        self.trace.note("cache", "forgets")
        self.real = MemoryCache(self.luck.random, yields=False)
        self._tell_missed()

    def _tell_missed(self) -> None:
        for link in self.links:
            link.subscriptions.missed()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[SimulatedCache]:
        """The cache as one process reaches it, for the duration of the block."""
        link = SimulatedCache(self)
        self.links.append(link)
        try:
            yield link
        finally:
            self.links.remove(link)
            link.subscriptions.close()


class SimulatedCache:
    """A process's connection to the cache server: the `Cache` port, with faults on the way."""

    def __init__(self, server: SimulatedCacheServer) -> None:
        self._server = server
        self.subscriptions = Subscriptions()

    @property
    def presence(self) -> Presence:
        return Presence.DOWN if self._server.away else Presence.UP

    async def _reach(self) -> MemoryCache:
        luck = self._server.luck
        await luck.may_take(*OPERATION_S)
        if self._server.away:
            raise CacheUnavailable(Away.UNREACHABLE, "simulated")
        if luck.happens("cache_fails"):
            await trio.sleep(TIMEOUT_S)
            raise CacheUnavailable(Away.SLOW, "simulated")
        return self._server.real

    async def get(self, key: str) -> bytes | None:
        return await (await self._reach()).get(key)

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        await (await self._reach()).set(key, value, ttl_s)

    async def delete(self, *keys: str) -> None:
        await (await self._reach()).delete(*keys)

    async def take(self, key: str, limit: Limit, cost: int = 1) -> Verdict:
        return await (await self._reach()).take(key, limit, cost)

    async def publish(self, channel: str, payload: bytes) -> None:
        await self._reach()
        for link in self._server.links:
            link.subscriptions.publish(channel, payload)

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[Subscription]:
        with self.subscriptions.added(channel) as subscription:
            yield subscription

    async def append(self, stream: str, payload: bytes, length_max: int) -> str:
        return await (await self._reach()).append(stream, payload, length_max)

    async def read(
        self, stream: str, after: str, limit: int, wait_s: float = 0.0
    ) -> list[StreamEntry]:
        return await (await self._reach()).read(stream, after, limit, wait_s)

    async def last_id(self, stream: str) -> str:
        return await (await self._reach()).last_id(stream)
