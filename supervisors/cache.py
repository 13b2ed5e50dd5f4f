"""The cache's place in the platform."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import trio

from runtime import Actor, ChildSpec, ExitReason
from runtime.cache import Cache, CacheHandle, open_cache
from runtime.ports import Ports
from runtime.rotation import RotatingSecret
from runtime.telemetry import Metrics

CACHE = "platform.cache"

OpenCache = Callable[
    [str | RotatingSecret | None, Ports, Metrics], AbstractAsyncContextManager[Cache]
]


class CacheKeeper(Actor):
    """Opens the cache, whether Redis is there or not, and closes it at the end."""

    def __init__(
        self, url: str | RotatingSecret | None, handle: CacheHandle, opener: OpenCache
    ) -> None:
        self._url = url
        self._handle = handle
        self._open = opener
        self._opened = trio.Event()

    async def started(self) -> None:
        self.start_task(self._keep)
        await self._opened.wait()

    async def _keep(self) -> None:
        system = self.system
        ports = Ports(system.clock, system.ids, system.random, system.secrets)
        async with self._open(self._url, ports, self.system.metrics) as cache:
            self._handle.attach(cache, self.system.metrics)
            self._opened.set()
            try:
                await trio.sleep_forever()
            finally:
                self._handle.detach()

    async def stopped(self, reason: ExitReason) -> None:
        self._handle.detach()


def cache_child(
    url: str | RotatingSecret | None, handle: CacheHandle, opener: OpenCache = open_cache
) -> ChildSpec:
    return ChildSpec("cache", lambda: CacheKeeper(url, handle, opener), name=CACHE)
