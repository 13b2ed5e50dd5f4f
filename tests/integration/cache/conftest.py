"""A Redis of a test's own, and a cache on it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from runtime.cache.redis import open_redis
from runtime.ports import system_ports
from runtime.telemetry import Metrics
from tests.integration.cache.helpers import Faulty, until
from tests.servers import RedisServer, running
from tests.stores import patient_redis

PATIENCE_S = 5.0


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with running(RedisServer) as server:
        yield server


@pytest.fixture
async def faulty(server: RedisServer) -> AsyncIterator[Faulty]:
    metrics = Metrics()
    async with open_redis(server.url, system_ports().random, metrics) as cache:
        await until(lambda: cache.listener.up)
        yield Faulty(server, cache, metrics)


@pytest.fixture
async def slow(server: RedisServer) -> AsyncIterator[Faulty]:
    """One that may be as slow as a busy machine makes it."""
    metrics = Metrics()
    pipeline = patient_redis(PATIENCE_S, metrics.policies)
    async with open_redis(server.url, system_ports().random, metrics, pipeline) as cache:
        yield Faulty(server, cache, metrics)
