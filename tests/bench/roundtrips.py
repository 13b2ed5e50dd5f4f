"""What it costs to reach PostgreSQL from Trio: `host.call` against asyncpg on asyncio itself."""

import asyncio
import time
from functools import partial

import asyncpg
import trio
import uvloop

from runtime import host
from tests.bench.harness import Figure, compare
from tests.bench.postgres import durable_postgres

TASKS = 20
POOL = 10
QUERIES = 8_000
WARM_UP = 400
QUERY = "select 1"
"""asyncpg prepares it once on each connection."""


def roundtrips() -> list[Figure]:
    with durable_postgres() as server:
        name = f"`{QUERY}` through host.call, {TASKS} tasks on {POOL} connections, against asyncpg"
        measure = partial(compare, ours=partial(host.run, _guest, server.url), unit="queries/s")
        return [
            measure(
                f"{name} on asyncio",
                theirs=lambda: asyncio.run(_native(server.url)),
                goal=0.9,
            ),
            measure(
                f"{name} on uvloop",
                theirs=lambda: uvloop.run(_native(server.url)),
                goal=None,
            ),
        ]


async def _open(url: str) -> asyncpg.Pool:
    return await asyncpg.create_pool(url, min_size=POOL, max_size=POOL)


async def _guest(url: str) -> float:
    pool = await host.call(_open, url)

    async def asker(times: int) -> None:
        for _ in range(times):
            await host.call(pool.fetchval, QUERY)

    async def all_ask(queries: int) -> float:
        start = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for _ in range(TASKS):
                nursery.start_soon(asker, queries // TASKS)
        return queries / (time.perf_counter() - start)

    await all_ask(WARM_UP)
    rate = await all_ask(QUERIES)
    await host.call(pool.close)
    return rate


async def _native(url: str) -> float:
    pool = await _open(url)

    async def asker(times: int) -> None:
        for _ in range(times):
            await pool.fetchval(QUERY)

    async def all_ask(queries: int) -> float:
        start = time.perf_counter()
        await asyncio.gather(*(asker(queries // TASKS) for _ in range(TASKS)))
        return queries / (time.perf_counter() - start)

    await all_ask(WARM_UP)
    rate = await all_ask(QUERIES)
    await pool.close()
    return rate
