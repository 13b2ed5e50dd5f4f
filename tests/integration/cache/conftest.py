"""A Redis of a test's own, and a cache on it."""

from collections.abc import AsyncIterator, Iterator

import attrs
import pytest

from runtime.cache import redis, redis_listener
from runtime.cache.policies import REDIS
from runtime.cache.redis import open_redis
from runtime.policies import BreakerSpec
from runtime.ports import system_ports
from runtime.telemetry import Metrics
from tests.integration.cache.helpers import Faulty, until
from tests.servers import RedisServer, running
from tests.stores import patient_redis

PATIENCE_S = 60.0


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
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis, and the process that uses it, may stand still."""
    spec = attrs.evolve(REDIS, deadline_s=PATIENCE_S, attempt_s=PATIENCE_S)
    monkeypatch.setattr(redis, "REDIS", spec)
    for name in ("CONNECT_TIMEOUT_S", "SILENCE_MAX_S"):
        monkeypatch.setattr(redis_listener, name, PATIENCE_S)


@pytest.fixture
def opens_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A breaker that has opened stays so."""
    breaker = BreakerSpec(open_s=PATIENCE_S, open_max_s=PATIENCE_S)
    monkeypatch.setattr(redis, "REDIS", attrs.evolve(REDIS, breaker=breaker))


@pytest.fixture
async def slow(patient: None, server: RedisServer) -> AsyncIterator[Faulty]:
    """One that may be as slow as a busy machine makes it."""
    metrics = Metrics()
    pipeline = patient_redis(PATIENCE_S, metrics.policies)
    async with open_redis(server.url, system_ports().random, metrics, pipeline) as cache:
        await until(lambda: cache.listener.up)
        yield Faulty(server, cache, metrics)
