"""The password of a real Redis is changed under load, and no command fails."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import trio

from runtime import host
from runtime.cache import CacheError
from runtime.cache.policies import CONNECTIONS_MAX
from runtime.cache.redis import RedisCache, open_redis
from runtime.cache.redis_connections import Connections
from runtime.ports import system_ports
from runtime.rotation import RotatingSecret
from runtime.telemetry import Metrics
from tests.servers import RedisServer
from tests.servers import running as server_running
from tests.stores import patient_redis, unhurried

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]

OLD, NEW = "old-c4n4ry", "new-c4n4ry"
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with server_running(RedisServer) as server:
        yield server


def url_with(server: RedisServer, password: str) -> str:
    return server.url.replace("unix://", f"unix://:{password}@")


async def set_password(server: RedisServer, before: str | None, after: str) -> None:
    """As an operator would, on a connection of our own."""
    url = server.url if before is None else url_with(server, before)
    own = Connections(url, 1)
    with unhurried():
        await own.ask(("CONFIG", "SET", "requirepass", after))
    await own.close()


@asynccontextmanager
async def with_password(server: RedisServer) -> AsyncIterator[tuple[RotatingSecret, RedisCache]]:
    await set_password(server, None, OLD)
    secret = RotatingSecret(url_with(server, OLD))
    ports = system_ports()
    try:
        pipeline = patient_redis(PATIENCE_S)
        async with open_redis(secret, ports.random, Metrics(), pipeline) as cache:
            yield secret, cache
    finally:
        for password in (OLD, NEW):
            try:
                await set_password(server, password, "")
            except CacheError:
                continue


async def many_at_once(cache: RedisCache) -> None:
    """So many that connections have to be opened. Raises when one fails."""
    async with trio.open_nursery() as nursery:
        for number in range(CONNECTIONS_MAX):
            nursery.start_soon(cache.set, f"key-{number}", b"value", 60.0)


async def test_the_new_password_before_the_server_has_it(server: RedisServer) -> None:
    async with with_password(server) as (secret, cache):
        await cache.set("a", b"1", 60.0)
        secret.replace(url_with(server, NEW))
        await many_at_once(cache)
        await set_password(server, OLD, NEW)
        await cache._connections._close_idle()
        await many_at_once(cache)
        assert secret.values() == (url_with(server, NEW),)
        assert await cache.get("a") == b"1"


async def test_the_server_before_the_new_password_is_known(server: RedisServer) -> None:
    """Connections that are open go on; new ones wait for the secret."""
    async with with_password(server) as (secret, cache):
        await cache.set("a", b"1", 60.0)
        await set_password(server, OLD, NEW)
        assert await cache.get("a") == b"1"
        secret.replace(url_with(server, NEW))
        await many_at_once(cache)
        assert secret.values() == (url_with(server, NEW),)


async def test_a_password_that_is_refused_is_an_outage_and_not_told(server: RedisServer) -> None:
    async with with_password(server):
        wrong = RotatingSecret(url_with(server, "wrong-c4n4ry"))
        pipeline = patient_redis(PATIENCE_S)
        async with open_redis(wrong, system_ports().random, Metrics(), pipeline) as cache:
            with pytest.raises(CacheError) as caught:
                await cache.get("a")
            assert "c4n4ry" not in f"{caught.value}{caught.value.__cause__}"
            with trio.fail_after(PATIENCE_S):
                await wrong.doubted()
