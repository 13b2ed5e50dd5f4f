"""Load that does not wait: arrivals at a constant rate, however slow the answers are.

A closed loop asks less often when answers are slow, and so hides its worst moments. Here every
latency is counted from when the arrival was due, even when the generator itself came late.
"""

from collections.abc import Awaitable, Callable, Sequence

import attrs
import trio

OUTSTANDING_MAX = 20_000
"""Unanswered arrivals at once."""


class Overloaded(Exception):
    """More than `OUTSTANDING_MAX` arrivals wait for their answer: the rate is too high."""


@attrs.frozen
class Latencies:
    """In milliseconds, ascending."""

    sorted_ms: Sequence[float]

    def percentile(self, percent: float) -> float:
        """The smallest latency that `percent` of all do not exceed."""
        index = -int(-len(self.sorted_ms) * percent // 100) - 1
        return self.sorted_ms[max(0, index)]


async def open_loop(
    act: Callable[[int], Awaitable[object]], *, rate: float, duration_s: float, warm_up_s: float
) -> Latencies:
    """Start `act(number)` `rate` times a second; the latencies of those due after the warm-up.

    Raises `Overloaded`. What `act` raises ends everything.
    """
    latencies_ms: list[float] = []
    start = trio.current_time()
    outstanding = 0

    async def arrival(number: int, due: float) -> None:
        nonlocal outstanding
        await act(number)
        outstanding -= 1
        if due >= start + warm_up_s:
            latencies_ms.append((trio.current_time() - due) * 1000)

    async with trio.open_nursery() as nursery:
        for number in range(int(rate * (warm_up_s + duration_s))):
            due = start + number / rate
            if due > trio.current_time():
                await trio.sleep_until(due)
            if outstanding >= OUTSTANDING_MAX:
                raise Overloaded(f"{rate:.0f} arrivals a second are too many")
            outstanding += 1
            nursery.start_soon(arrival, number, due)
    return Latencies(sorted(latencies_ms))
