"""Flags on a real Redis that dies while they are evaluated, and on PostgreSQL."""

import time
from collections.abc import Callable

import pytest
import trio

from runtime import host
from runtime.ports import system_ports
from tests.integration.cache.helpers import until
from tests.integration.features.world import Process, another_process, first_process, put
from tests.servers import PostgresServer, RedisServer, running

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]

EVALUATION_MAX_S = 0.001
SEEN_MAX_S = 30.0
"""Two seconds, and what a busy machine adds."""


def problems(process: Process) -> float:
    registry = process.system.metrics.registry
    name = "loyalnest_flags_problems_total"
    return registry.get_sample_value(name, {"problem": "stores"}) or 0.0


async def wait_for(read: Callable[[], int], wanted: int) -> float:
    started = trio.current_time()
    await until(lambda: read() == wanted)
    return trio.current_time() - started


async def test_evaluations_go_on_when_redis_dies_and_then_the_database_too() -> None:
    """A thousand evaluations around the first death, and changes by way of the database after it.
    After the second, what was known last counts, and is heard of no more."""
    with running(RedisServer) as redis, running(PostgresServer, with_schema=True) as postgres:
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
            assert max(waits) <= SEEN_MAX_S
            postgres.kill()
            await until(lambda: problems(other) > 0)
            assert other.value() == 3
            age_s = other.book.status.age_s
            assert age_s is not None
            assert 0 < age_s < SEEN_MAX_S
            postgres.start()
