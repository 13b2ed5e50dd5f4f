"""A process that takes from a limit: `python -m tests.contract.taking URL KEY LIMIT CALLS`.

It prints how many calls were admitted, from eight tasks at once.
"""

import sys

import trio

from runtime import host
from runtime.cache import CacheHandle
from runtime.cache.redis import open_redis
from runtime.policies.limiters import SharedLimiter
from runtime.policies.limits import Claim, Limit
from runtime.ports import system_ports
from runtime.telemetry import Metrics
from tests.stores import patient_redis

TASKS = 8


async def take(url: str, claim: Claim, calls: int) -> int:
    ports, metrics = system_ports(), Metrics()
    handle = CacheHandle(ports=ports, metrics=metrics, processes=2)
    admitted = 0

    async def client(limiter: SharedLimiter) -> None:
        nonlocal admitted
        for _ in range(calls // TASKS):
            decision = await limiter.take(claim)
            admitted += decision.allowed

    async with open_redis(url, ports.random, metrics, patient_redis(60.0)) as redis:
        handle.attach(redis, metrics)
        limiter = SharedLimiter(handle)
        async with trio.open_nursery() as nursery:
            for _ in range(TASKS):
                nursery.start_soon(client, limiter)
    return admitted


if __name__ == "__main__":
    url, key, limit, calls = sys.argv[1:]
    claim = Claim("all", key, Limit(int(limit), 86_400.0, int(limit)))
    sys.stdout.write(f"{host.run(take, url, claim, int(calls))}\n")
