"""A Redis of a test's own, and a cache on it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from runtime.cache.redis import open_redis
from runtime.ports import system_ports
from runtime.telemetry import Metrics
from tests.integration.cache.helpers import Faulty, until
from tests.servers import RedisServer, running


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
