"""Asks over a link on loopback, beside the same asks within one tree: `-m tests.bench.linking`."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from runtime import ActorRef
from runtime.links import LinkLimits, WebSocketNetwork
from tests.shards import Echo, pair

ASKS = {1: 2_000, 64: 20_000}
"""So many asks, by how many of them are outstanding at a time."""

ROUNDS = 5


@asynccontextmanager
async def refs() -> AsyncIterator[tuple[ActorRef, ActorRef]]:
    """The same actor here, and in another shard of this process."""
    network = WebSocketNetwork()
    async with pair(lambda _name: network, "127.0.0.1:0", limits=LinkLimits()) as (_one, two):
        yield two.ref("two.clerk"), two.ref("one.clerk")


async def measure(ref: ActorRef, outstanding: int) -> tuple[float, float]:
    """Seconds and processor seconds of one ask."""
    each, message = ASKS[outstanding] // outstanding, Echo("x" * 20)

    async def ask() -> None:
        for _ in range(each):
            await ref.ask(message)

    began, began_cpu = time.perf_counter(), time.process_time()
    async with trio.open_nursery() as nursery:
        for _ in range(outstanding):
            nursery.start_soon(ask)
    asks = each * outstanding
    return (time.perf_counter() - began) / asks, (time.process_time() - began_cpu) / asks


async def main() -> None:
    async with refs() as (here, there):
        for outstanding in ASKS:
            for name, ref in (("here", here), ("over a link", there)):
                rounds = sorted([await measure(ref, outstanding) for _ in range(ROUNDS)])
                wall_s, cpu_s = rounds[ROUNDS // 2]
                print(
                    f"{outstanding:3} outstanding, {name}: {wall_s * 1e6:.1f} µs,"
                    f" {1 / wall_s:,.0f}/s, {cpu_s * 1e6:.1f} µs of processor time"
                )


if __name__ == "__main__":
    trio.run(main)
