"""The products domain of two processes on one database and one Redis, which comes and goes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from actors.core.messages import MERCHANTS, RegisterMerchant
from actors.products import cached
from actors.products.cached import PRODUCTS
from actors.products.messages import (
    CATALOGUE,
    QUERIES,
    GetProduct,
    Product,
    ProductKind,
    PutProducts,
    Written,
)
from actors.products.supervisor import products_children
from runtime import ActorSystem, AtHand, ChildSpec, Stop, Supervisor, host
from runtime.cache import CacheHandle, Presence
from runtime.cache.redis import TIMEOUT_S as LIMIT_S
from runtime.exits import SHUTDOWN
from runtime.ports import system_ports
from runtime.storage import Database, DatabaseHandle, Query, Row
from supervisors.application import ApplicationSpec, application
from supervisors.cache import CACHE, cache_child
from supervisors.platform import DatabaseSpec
from tests.integration.cache.helpers import TIMEOUT_S, until
from tests.noise import noise
from tests.servers import PostgresServer, RedisServer
from tests.stores import patient_pipeline

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]

MERCHANT = "flora"
STALE_MAX_S = PRODUCTS.shared_ttl_s + PRODUCTS.local_ttl_s
LONG_S = 3_600.0

ALL_S = 1.0
"""For a hundred who wait for Redis together; one after the other they would take ten."""


class CountingHandle(DatabaseHandle):
    """Counts the reads of products, but for those of the writer, which looks before it writes."""

    reads = 0

    def attach(self, database: Database) -> None:
        counting: Any = Counting(database, self)
        super().attach(counting)


@attrs.frozen(eq=False)
class Counting:
    """Passes on to the store."""

    _database: Database
    _handle: CountingHandle

    async def fetch_many(self, queries: Sequence[Query]) -> list[list[Row]]:
        self._handle.reads += any("FROM products" in sql for sql, _ in queries)
        return await self._database.fetch_many(queries)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


@attrs.frozen
class Process:
    system: ActorSystem
    cache: CacheHandle
    database: CountingHandle

    async def put(self, price_minor: int) -> None:
        reads = self.database.reads
        rose = Product("ROSE-1", "Rose", ProductKind.PACKAGE, price_minor, "EUR")
        written = await self.system.ref(CATALOGUE).ask(PutProducts(MERCHANT, (rose,)))
        assert written == Written(1)
        self.database.reads = reads

    async def price(self) -> int:
        product = await self.system.ref(QUERIES).ask(GetProduct(MERCHANT, "ROSE-1"))
        assert product is not None
        return product.price_minor

    def at_hand(self) -> int | None:
        """The price, where it needs no asking."""
        notice = self.system.ref(QUERIES).notice
        assert isinstance(notice, AtHand)
        known = notice.look_up(GetProduct(MERCHANT, "ROSE-1"))
        return known[0].price_minor if known is not None else None

    async def sees(self, price_minor: int) -> None:
        """Ask again and again until the price is this one."""
        with trio.fail_after(TIMEOUT_S):
            while await self.price() != price_minor:  # noqa: ASYNC110 - nobody tells
                await trio.sleep(0.01)

    async def prices(self, calls: int) -> float:
        """Ask so often at once; how long it took."""
        started_at = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(calls):
                nursery.start_soon(self.price)
        return trio.current_time() - started_at


@asynccontextmanager
async def two_processes(
    url: str | None, directory: Path, database_url: str = "sqlite:///:memory:"
) -> AsyncIterator[tuple[Process, Process]]:
    """The whole tree, and another system with only the products domain on the same database."""
    database, cache, other = CountingHandle(patient_pipeline()), CacheHandle(), CacheHandle()
    spec = ApplicationSpec(DatabaseSpec(database_url), directory, redis_url=url)
    root = ChildSpec(
        "root",
        lambda: Supervisor((cache_child(url, other), *products_children(database, other))),
        name="root",
    )
    async with (
        ActorSystem(system_ports()).run(application(spec, database, cache)) as first,
        ActorSystem(system_ports()).run(root) as second,
    ):
        await first.ref(MERCHANTS).ask(RegisterMerchant(MERCHANT, "Flora", "EUR"))
        yield Process(first, cache, database), Process(second, other, database)


@pytest.fixture
def lasting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is cached goes when a notice says so, and not by itself."""
    kind = attrs.evolve(PRODUCTS, shared_ttl_s=LONG_S, local_ttl_s=LONG_S, blind_ttl_s=LONG_S)
    monkeypatch.setattr(cached, "PRODUCTS", kind)


@pytest.mark.usefixtures("lasting", "patient")
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
async def test_a_price_change_is_seen_by_the_other_process(
    server: RedisServer, tmp_path: Path, store: str, request: pytest.FixtureRequest
) -> None:
    """Clause C10."""
    url = "sqlite:///:memory:"
    if store == "postgresql":
        postgres: PostgresServer = request.getfixturevalue("postgres")
        url = postgres.migrated_database()
    async with two_processes(server.url, tmp_path, url) as (one, two):
        await until(lambda: one.cache.presence is two.cache.presence is Presence.UP)
        await one.put(100)
        assert (one.at_hand(), two.at_hand()) == (None, None)
        assert (await one.price(), await two.price()) == (100, 100)
        assert (one.at_hand(), two.at_hand()) == (100, 100)
        assert one.database.reads == 1
        await one.put(200)
        assert one.at_hand() is None, "who writes never reads the old one again"
        assert await one.price() == 200
        await two.sees(200)
        assert (one.at_hand(), two.at_hand()) == (200, 200)


@pytest.mark.usefixtures("lasting")
async def test_most_reads_do_not_reach_the_database(server: RedisServer, tmp_path: Path) -> None:
    async with two_processes(server.url, tmp_path) as (one, two):
        await one.put(100)
        for _ in range(10):
            await one.prices(20)
            await two.prices(20)
        assert one.database.reads <= 400 * 0.05


@pytest.mark.usefixtures("lasting")
@pytest.mark.parametrize("fault", ["freeze", "kill"])
async def test_without_redis_products_come_from_the_database(
    server: RedisServer, tmp_path: Path, fault: str
) -> None:
    """Clauses C7 and C10."""
    async with two_processes(server.url, tmp_path) as (one, _):
        await until(lambda: one.cache.presence is Presence.UP)
        await one.put(100)
        assert await one.price() == 100
        server.pause() if fault == "freeze" else server.kill()
        await one.put(200)
        reads = one.database.reads
        async with noise() as machine:
            took_s = await one.prices(100)
        assert await one.price() == 200
        assert took_s < LIMIT_S + ALL_S + machine.worst_s
        assert one.database.reads == reads + 1


@pytest.mark.usefixtures("lasting")
async def test_with_the_cache_in_the_process_a_change_is_seen_at_once(tmp_path: Path) -> None:
    async with two_processes(None, tmp_path) as (one, _):
        assert one.cache.presence is Presence.IN_PROCESS
        for price in (100, 200, 300):
            await one.put(price)
            assert await one.price() == price
            assert await one.price() == price
        assert one.database.reads == 3


async def test_products_are_served_while_the_cache_restarts(tmp_path: Path) -> None:
    """Clause C5: the followers find the next one."""
    async with two_processes(None, tmp_path) as (one, _):
        await one.put(100)
        before = one.cache._link.cache
        one.system.ref(CACHE).signal(Stop(SHUTDOWN))
        assert await one.price() == 100
        await until(lambda: one.cache._link.cache not in {None, before})
        await one.put(200)
        assert await one.price() == 200


async def test_an_old_price_is_gone_after_the_declared_time(
    server: RedisServer, tmp_path: Path
) -> None:
    """Clause C10: the change is made behind the cache's back, so that there is no notice."""
    async with two_processes(server.url, tmp_path) as (one, two):
        await one.put(100)
        assert await two.price() == 100
        await one.database.execute(
            "UPDATE product_prices SET price_minor = $2 WHERE merchant_id = $1", MERCHANT, 200
        )
        changed_at = trio.current_time()
        with trio.fail_after(TIMEOUT_S):
            while True:
                asked_at = trio.current_time()
                if await two.price() == 200:
                    break
                assert asked_at - changed_at <= STALE_MAX_S
                await trio.sleep(0.01)
    assert STALE_MAX_S <= 5.0
