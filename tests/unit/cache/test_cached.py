"""Values read through copies and the shared cache, by two processes in one test."""

from random import Random

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from runtime.cache import Cached, CacheHandle, Kind
from runtime.cache.memory import MemoryCache
from runtime.cache.port import KEYS_MAX
from runtime.telemetry import Metrics
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

KIND = Kind("price", shared_ttl_s=3.0, local_ttl_s=2.0, blind_ttl_s=1.0, copies_max=3)


@attrs.frozen
class Price:
    minor: int


@attrs.define
class Shop:
    """The source: one price for all keys, or none."""

    price: Price | None = Price(1)
    reads: int = 0

    async def load(self) -> Price | None:
        self.reads += 1
        await trio.lowlevel.checkpoint()
        return self.price


@attrs.define
class Process:
    """One process's handle and copies, on a cache that others share."""

    handle: CacheHandle
    prices: Cached[Price | None]

    async def price(self, shop: Shop, key: str = "rose") -> Price | None:
        return await self.prices.get(key, shop.load)


def process(cache: MemoryCache | None, kind: Kind = KIND) -> Process:
    handle = CacheHandle()
    if cache is not None:
        handle.attach(cache, Metrics())
    return Process(handle, Cached(kind, Price | None, handle))


@pytest.fixture
def shared() -> MemoryCache:
    return MemoryCache(Random(1))


async def test_a_value_is_read_once_for_all_processes(shared: MemoryCache) -> None:
    one, two, shop = process(shared), process(shared), Shop()
    assert await one.price(shop) == await two.price(shop) == Price(1)
    assert await one.price(shop) == Price(1)
    assert shop.reads == 1


async def test_that_there_is_none_is_cached_as_well(shared: MemoryCache) -> None:
    one, shop = process(shared), Shop(price=None)
    assert await one.price(shop) is None
    assert await one.price(shop) is None
    assert shop.reads == 1


async def test_who_outdates_sees_the_new_value_at_once_and_others_with_the_notice(
    shared: MemoryCache,
) -> None:
    """Clause C10."""
    one, two, shop = process(shared), process(shared), Shop()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(two.prices.follow)
        await wait_all_tasks_blocked()
        await one.price(shop)
        await two.price(shop)
        shop.price = Price(2)
        assert await two.price(shop) == Price(1)
        await one.prices.outdate("rose")
        assert await one.price(shop) == Price(2)
        await wait_all_tasks_blocked()
        assert await two.price(shop) == Price(2)
        nursery.cancel_scope.cancel()


class FarAway(MemoryCache):
    """Takes a second to delete something."""

    async def delete(self, *keys: str) -> None:
        await trio.sleep(1)
        await super().delete(*keys)


async def test_who_outdates_keeps_no_copy_that_others_made_before_it_was_deleted() -> None:
    """Clause C10."""
    one, shop = process(FarAway(Random(1))), Shop()
    await one.price(shop)
    async with trio.open_nursery() as nursery:
        shop.price = Price(2)
        nursery.start_soon(one.prices.outdate, "rose")
        await wait_all_tasks_blocked()
        assert await one.price(shop) == Price(1)
    assert await one.price(shop) == Price(2)


async def test_with_every_notice_lost_a_value_is_old_for_a_bounded_time(
    shared: MemoryCache,
) -> None:
    """Clause C10."""
    one, two, shop = process(shared), process(shared), Shop()
    await one.price(shop)
    await trio.sleep(KIND.shared_ttl_s - 0.01)
    await two.price(shop)
    shop.price = Price(2)
    await trio.sleep(KIND.local_ttl_s + 0.01)
    assert await two.price(shop) == Price(2)


async def test_a_subscriber_that_missed_something_forgets_everything(shared: MemoryCache) -> None:
    """Clause C10."""
    one, shop = process(shared), Shop()
    await one.price(shop)
    await shared.delete("price:rose")
    shop.price = Price(2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.prices.follow)
        await wait_all_tasks_blocked()
        assert await one.price(shop) == Price(2)
        nursery.cancel_scope.cancel()


async def test_without_the_cache_the_source_is_read_once_per_short_time() -> None:
    """Clause C10."""
    one, shop = process(None), Shop()
    for _ in range(30):
        await one.price(shop)
        await trio.sleep(0.1)
    assert shop.reads == 3


async def test_a_change_during_the_load_is_not_hidden_by_the_old_value(
    shared: MemoryCache,
) -> None:
    one, shop = process(shared), Shop()
    old, go_on = Price(1), trio.Event()

    async def slow() -> Price | None:
        await go_on.wait()
        return old

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.prices.get, "rose", slow)
        await wait_all_tasks_blocked()
        shop.price = Price(2)
        await one.prices.outdate("rose")
        go_on.set()
    assert await one.price(shop) == Price(2)


async def test_a_change_of_another_key_during_the_load_does_not_matter(
    shared: MemoryCache,
) -> None:
    one, shop, go_on = process(shared), Shop(), trio.Event()

    async def slow() -> Price | None:
        await go_on.wait()
        return await shop.load()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.prices.get, "rose", slow)
        await wait_all_tasks_blocked()
        await one.prices.outdate("tulip")
        go_on.set()
    await shared.delete("price:rose")
    await one.price(shop)
    assert shop.reads == 1


async def test_ones_own_notices_do_not_outdate_what_was_loaded_since(
    shared: MemoryCache,
) -> None:
    one, shop = process(shared), Shop()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.prices.follow)
        await wait_all_tasks_blocked()
        await one.prices.outdate("rose")
        await one.price(shop)
        await shared.delete("price:rose")
        await wait_all_tasks_blocked()
        await one.price(shop)
        assert shop.reads == 1
        nursery.cancel_scope.cancel()


async def test_what_another_version_wrote_is_loaded_anew(shared: MemoryCache) -> None:
    one, shop = process(shared), Shop()
    for nonsense in (b"{", b'{"other": 1}'):
        await shared.set("price:rose", nonsense, 60)
        assert await one.price(shop) == Price(1)
        await one.prices.outdate("rose")


async def test_a_notice_nobody_understands_makes_everything_outdated(
    shared: MemoryCache,
) -> None:
    one, shop = process(shared), Shop()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.prices.follow)
        await wait_all_tasks_blocked()
        await one.price(shop)
        await shared.delete("price:rose")
        await shared.publish(KIND.channel, b"?")
        await wait_all_tasks_blocked()
        await one.price(shop)
        assert shop.reads == 2
        nursery.cancel_scope.cancel()


async def test_every_use_can_be_cancelled(shared: MemoryCache) -> None:
    one, shop = process(shared), Shop()
    for key in ("rose", "tulip"):
        with trio.CancelScope() as scope:
            scope.cancel()
            await one.price(shop, key)
        assert scope.cancelled_caught
        await one.price(shop, "rose")
    with trio.CancelScope() as scope:
        scope.cancel()
        await one.prices.outdate("rose")
    assert scope.cancelled_caught
    with trio.move_on_after(1) as scope:
        await one.prices.follow()
    assert scope.cancelled_caught


async def test_any_number_of_keys_is_outdated_at_once(shared: MemoryCache) -> None:
    one, shop = process(shared), Shop()
    keys = [f"key-{number}" for number in range(KEYS_MAX + 1)]
    await one.price(shop, keys[-1])
    await one.prices.outdate(*keys)
    await one.price(shop, keys[-1])
    assert shop.reads == 2


async def test_copies_are_bounded(shared: MemoryCache) -> None:
    one, shop = process(shared), Shop()
    for key in "abcd":
        await one.price(shop, key)
        await shared.delete(f"price:{key}")
    assert shop.reads == 4
    await one.price(shop, "d")
    assert shop.reads == 4
    await one.price(shop, "a")
    assert shop.reads == 5


@attrs.define
class Load:
    """Reads of twenty keys by two processes, twenty a second each."""

    processes: tuple[Process, Process]
    shop: Shop
    number: int = 0

    async def reads_of_the_source(self, duration_s: float) -> int:
        """While it goes on for so long."""
        before = self.shop.reads
        for _ in range(int(duration_s * READS_PER_S)):
            for process in self.processes:
                self.number += 1
                await process.price(self.shop, f"key-{self.number * 7 % 20}")
            await trio.sleep(1 / READS_PER_S)
        return self.shop.reads - before


READS_PER_S = 20.0


async def test_a_cache_that_is_flushed_under_load_doubles_the_reads_of_the_source_at_most(
    shared: MemoryCache,
) -> None:
    kind = attrs.evolve(KIND, copies_max=1_000)
    load = Load((process(shared, kind), process(shared, kind)), Shop())
    await load.reads_of_the_source(5.0)
    steady = await load.reads_of_the_source(15.0)
    flushed = 0
    for _ in range(3):
        await shared.delete(*list(shared._entries))
        flushed += await load.reads_of_the_source(5.0)
    assert 0 < flushed <= 2 * steady
