"""What a busy machine takes from this process, which a bound on time may be missed by."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio

TICK_S = 0.002


@attrs.define
class Noise:
    """How late timers of this process were: at worst, and summed up."""

    worst_s: float = 0.0
    lost_s: float = 0.0


@asynccontextmanager
async def noise() -> AsyncIterator[Noise]:
    """Measures for the duration of the block."""
    measured = Noise()

    async def tick() -> None:
        while True:
            due = trio.current_time() + TICK_S
            await trio.sleep_until(due)
            late_s = trio.current_time() - due
            measured.worst_s = max(measured.worst_s, late_s)
            measured.lost_s += late_s

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tick)
        yield measured
        nursery.cancel_scope.cancel()
