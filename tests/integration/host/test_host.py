"""`host.run` and `host.call` with real drivers against real servers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from quart_trio import QuartTrio
from redis import asyncio as redis_asyncio

from runtime import host
from tests.servers import PostgresServer, RedisServer, running

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]

PATIENCE_S = 60.0
NO_TIME_S = 15.0
"""Bound on what takes milliseconds on an idle machine, and what it stops a minute."""


@asynccontextmanager
async def connection(server: PostgresServer) -> AsyncIterator[Any]:
    opened = await host.call(asyncpg.connect, server.url)
    try:
        yield opened
    finally:
        with trio.CancelScope(shield=True):
            await host.call(opened.close)


async def test_a_query_gives_its_answer(postgres: PostgresServer) -> None:
    async with connection(postgres) as database:
        assert await host.call(database.fetchval, "select $1::int + 1", 41) == 42


async def test_a_cancelled_query_ends_on_the_server_and_the_connection_lives_on(
    postgres: PostgresServer,
) -> None:
    still = (
        "select count(*) from pg_stat_activity"
        " where query = 'select pg_sleep(60)' and state = 'active'"
    )
    async with connection(postgres) as database, connection(postgres) as witness:
        with trio.fail_after(NO_TIME_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(host.call, database.fetch, "select pg_sleep(60)")
                while not await host.call(witness.fetchval, still):
                    pass
                nursery.cancel_scope.cancel()
            assert await host.call(database.fetchval, "select 1") == 1
            assert await host.call(witness.fetchval, still) == 0


async def test_an_expired_deadline_is_a_cancellation(postgres: PostgresServer) -> None:
    async with connection(postgres) as database:
        with trio.fail_after(NO_TIME_S), trio.move_on_after(0.05) as scope:
            await host.call(database.execute, "select pg_sleep(60)")
        assert scope.cancelled_caught
        assert await host.call(database.fetchval, "select 1") == 1


async def test_an_error_of_the_server_is_the_drivers_and_leaves_the_connection_usable(
    postgres: PostgresServer,
) -> None:
    async with connection(postgres) as database:
        with pytest.raises(asyncpg.UndefinedTableError):
            await host.call(database.fetch, "select * from nowhere")
        assert await host.call(database.fetchval, "select 1") == 1


async def test_a_crash_in_a_nested_nursery_cancels_the_queries_of_its_siblings(
    postgres: PostgresServer,
) -> None:
    async def crash_soon() -> None:
        await trio.sleep(0.05)
        raise LookupError("boom")

    async with connection(postgres) as database:
        with trio.fail_after(NO_TIME_S), pytest.RaisesGroup(pytest.RaisesGroup(LookupError)):
            async with trio.open_nursery() as outer, trio.open_nursery() as inner:
                outer.start_soon(host.call, database.fetch, "select pg_sleep(60)")
                inner.start_soon(crash_soon)
        assert await host.call(database.fetchval, "select 1") == 1


async def test_twenty_calls_share_a_pool_of_five(postgres: PostgresServer) -> None:
    answers: list[int] = []
    pool = await host.call(lambda: asyncpg.create_pool(postgres.url, min_size=1, max_size=5))

    async def ask(number: int) -> None:
        answers.append(await host.call(pool.fetchval, "select $1::int from pg_sleep(0.01)", number))

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(ask, number)
    await host.call(pool.close)
    assert sorted(answers) == list(range(20))


async def test_a_killed_server_ends_the_query_and_comes_back() -> None:
    with running(PostgresServer) as server:
        database = await host.call(asyncpg.connect, server.url)
        await host.call(database.execute, "create table kept (n int)")
        with trio.fail_after(NO_TIME_S), pytest.RaisesGroup(asyncpg.PostgresConnectionError):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(host.call, database.fetch, "select pg_sleep(60)")
                await trio.sleep(0.05)
                server.kill()
        server.start()
        async with connection(server) as database:
            assert await host.call(database.fetchval, "select count(*) from kept") == 0


async def test_redis_answers_and_a_cancelled_blocking_read_ends(redis_server: RedisServer) -> None:
    client = redis_asyncio.Redis.from_url(redis_server.url)
    assert await host.call(client.ping)
    with trio.fail_after(NO_TIME_S), trio.move_on_after(0.05) as scope:
        await host.call(client.blpop, ["nothing"], 10)
    assert scope.cancelled_caught
    assert await host.call(client.ping)
    await host.call(client.aclose)


async def test_trio_timers_and_asyncio_timers_run_side_by_side() -> None:
    """Each side goes on until the other one has come to its third."""
    ticks = {"trio": 0, "asyncio": 0}

    async def on_asyncio() -> None:
        while ticks["trio"] < 3:
            await asyncio.sleep(0.001)
            ticks["asyncio"] += 1

    with trio.fail_after(NO_TIME_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(host.call, on_asyncio)
            while min(ticks.values()) < 3:
                await trio.sleep(0.001)
                ticks["trio"] += 1


async def test_hypercorn_serves_http_from_a_route_that_asks_the_database(
    postgres: PostgresServer,
) -> None:
    application = QuartTrio("test")
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.accesslog = config.errorlog = None
    async with connection(postgres) as database, trio.open_nursery() as nursery:

        @application.get("/")
        async def answer() -> str:
            return str(await host.call(database.fetchval, "select 'from postgres'"))

        (address,) = await nursery.start(serve, application, config)
        async with httpx.AsyncClient(verify=False, timeout=PATIENCE_S) as client:
            response = await client.get(address)
        assert (response.status_code, response.text) == (200, "from postgres")
        nursery.cancel_scope.cancel()
