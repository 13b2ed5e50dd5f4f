"""What only the twin promises: bounds, and virtual time."""

from random import Random

import pytest
import trio

from runtime.cache import Limit
from runtime.cache.memory import BYTES_MAX, STREAMS_MAX, MemoryCache
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

MEGABYTE = 1_000_000


async def test_the_value_least_recently_used_makes_room() -> None:
    cache = MemoryCache(Random(1), entries_max=3)
    for key in "abc":
        await cache.set(key, b"v", 60)
    await cache.get("a")
    await cache.set("d", b"v", 60)
    assert [await cache.get(key) for key in "abcd"] == [b"v", None, b"v", b"v"]


async def test_large_values_make_room_as_well() -> None:
    cache = MemoryCache(Random(1))
    fit = BYTES_MAX // (MEGABYTE + 3)
    for number in range(fit + 1):
        await cache.set(f"{number:03}", bytes(MEGABYTE), 60)
    assert await cache.get("000") is None
    assert await cache.get("001") is not None
    await cache.delete("001")
    await cache.set("new", bytes(MEGABYTE), 60)
    assert await cache.get("002") is not None


async def test_time_to_live_and_limits_keep_to_trios_clock() -> None:
    cache = MemoryCache(Random(1))
    await cache.set("k", b"v", 3_600)
    assert (await cache.take("k", Limit(1, 3_600, 1))).allowed
    await trio.sleep(3_599.9)
    assert await cache.get("k") == b"v"
    assert not (await cache.take("k", Limit(1, 3_600, 1))).allowed
    await trio.sleep(0.1)
    assert await cache.get("k") is None
    assert (await cache.take("k", Limit(1, 3_600, 1))).allowed


async def test_the_stream_least_recently_used_makes_room() -> None:
    cache = MemoryCache(Random(1))
    for number in range(STREAMS_MAX + 1):
        await cache.append(f"s{number}", b"v", 10)
    assert await cache.read("s0", "0-0", 10) == []
    assert len(await cache.read("s1", "0-0", 10)) == 1
