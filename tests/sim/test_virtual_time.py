"""Virtual time behaves as Trio's own does, cancellation included."""

from collections.abc import Awaitable, Callable
from functools import partial
from math import inf, nan

import pytest
import trio
from trio.testing import MockClock

from runtime.sim import run_deterministically
from runtime.sim.virtual_time import sleep, virtual_clock

Sleep = Callable[[float], Awaitable[None]]


async def story(sleep: Sleep) -> list[tuple[float, str]]:
    """What sleepers, deadlines and cancellations come to, and when."""
    seen: list[tuple[float, str]] = []

    def note(what: str) -> None:
        seen.append((trio.current_time(), what))

    async def sleeper(seconds: float) -> None:
        try:
            await sleep(seconds)
            note(f"slept {seconds}")
        except trio.Cancelled:
            note(f"cancelled {seconds}")
            raise

    async with trio.open_nursery() as nursery:
        for seconds in (3.0, 0.1, 0.0, 1e-9, 3.0, 7.25):
            nursery.start_soon(sleeper, seconds)
        with trio.move_on_after(2):
            await sleeper(5.0)
        with trio.move_on_after(2):
            await sleeper(1.75)
        with trio.CancelScope() as scope:
            scope.cancel()
            await sleeper(1.0)
        with trio.move_on_after(1):
            await sleeper(inf)
        nursery.cancel_scope.cancel()
    return seen


def test_sleep_and_clock_are_those_of_trio() -> None:
    ours = trio.run(partial(story, sleep), clock=virtual_clock())
    theirs = trio.run(partial(story, trio.sleep), clock=MockClock(autojump_threshold=0))
    assert sorted(ours) == sorted(theirs)


@pytest.mark.parametrize("seconds", [-1.0, nan])
def test_time_does_not_run_backwards(seconds: float) -> None:
    async def back() -> None:
        with pytest.raises(ValueError, match="non-negative"):
            await sleep(seconds)

    trio.run(back)


def test_outside_of_a_simulation_sleep_is_as_it_was() -> None:
    before = trio.sleep

    async def which() -> bool:
        await trio.sleep(1_000)
        return trio.sleep is sleep

    assert run_deterministically(which, seed=1)
    assert trio.sleep is before
