"""How fast asks over a link on loopback are, against the same asks within one tree."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import trio

from runtime import ActorRef
from runtime.links import LinkLimits, WebSocketNetwork
from tests.bench.harness import Figure, compare, without_logs
from tests.shards import Echo, pair

ASKS = {1: 2_000, 64: 20_000}
"""So many asks, by how many of them are outstanding at a time."""


def linking() -> list[Figure]:
    """Both ends of a link are in one process, and so on one core."""
    with without_logs():
        return [
            compare(
                f"ask over a link, {outstanding} outstanding, against one within the tree",
                partial(trio.run, _asks_a_second, outstanding, "one.clerk"),
                partial(trio.run, _asks_a_second, outstanding, "two.clerk"),
                unit="asks/s",
                goal=None,
            )
            for outstanding in ASKS
        ]


async def _asks_a_second(outstanding: int, name: str) -> float:
    each, message = ASKS[outstanding] // outstanding, Echo("x" * 20)

    async def ask(ref: ActorRef) -> None:
        for _ in range(each):
            await ref.ask(message)

    async with _ref(name) as ref:
        began = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for _ in range(outstanding):
                nursery.start_soon(ask, ref)
        return each * outstanding / (time.perf_counter() - began)


@asynccontextmanager
async def _ref(name: str) -> AsyncIterator[ActorRef]:
    """As shard `two` has it, beside shard `one` in this process."""
    network = WebSocketNetwork()
    async with pair(lambda _name: network, "127.0.0.1:0", limits=LinkLimits()) as (_one, two):
        yield two.ref(name)
