"""Flags on a real Redis that dies while they are evaluated, and on PostgreSQL."""

import time
from collections.abc import Callable

import pytest
import trio

from runtime import host
from runtime.ports import system_ports
from tests.integration.cache.helpers import until
from tests.integration.features.world import another_process, first_process, put
from tests.servers import PostgresServer, RedisServer, running

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]

EVALUATION_MAX_S = 0.001
SEEN_MAX_S = 10.0
"""Two seconds, and what a busy machine adds."""


async def wait_for(read: Callable[[], int], wanted: int) -> float:
    started = trio.current_time()
    await until(lambda: read() == wanted)
    return trio.current_time() - started


async def test_a_redis_that_dies_slows_no_evaluation_and_stops_no_change(
    postgres: PostgresServer,
) -> None:
    """A thousand evaluations around its death; then changes arrive by way of the database."""
    with running(RedisServer) as redis:
        url = postgres.migrated_database()
        async with (
            first_process(url, redis.url, system_ports()) as first,
            another_process(first, redis.url) as other,
        ):
            await put(first, 1, 0)
            await wait_for(other.value, 1)
            waits = []
            await put(first, 2, 1)
            waits.append(await wait_for(other.value, 2))
            times = []
            for number in range(1_000):
                if number == 300:
                    redis.kill()
                started = time.perf_counter()
                other.value()
                times.append(time.perf_counter() - started)
                if number % 50 == 0:
                    await trio.sleep(0.01)
            assert sorted(times)[990] <= EVALUATION_MAX_S
            await put(first, 3, 2)
            waits.append(await wait_for(other.value, 3))
            assert waits[0] <= SEEN_MAX_S
