"""Opening a cache by its URL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runtime.cache.memory import MemoryCache
from runtime.cache.port import Cache
from runtime.policies import Pipeline
from runtime.ports import Ports
from runtime.rotation import RotatingSecret
from runtime.telemetry import Metrics


@asynccontextmanager
async def open_cache(
    url: str | RotatingSecret | None,
    ports: Ports,
    metrics: Metrics,
    pipeline: Pipeline | None = None,
) -> AsyncIterator[Cache]:
    """The Redis at `url`, or without one the twin in this process.

    `redis://…`, `rediss://…` or `unix://PATH`; these need `host.run`, and go through `pipeline`.
    Open for the duration of the block. That Redis is away is no error here.
    """
    if url is not None:
        from runtime.cache.redis import open_redis  # noqa: PLC0415 - 0.1 s that few starts need

        async with open_redis(url, ports.random, metrics, pipeline) as cache:
            yield cache
        return
    twin = MemoryCache(ports.random)
    try:
        yield twin
    finally:
        twin.close()
