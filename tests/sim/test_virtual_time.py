"""Virtual time behaves as Trio's own does, cancellation included."""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from functools import partial
from math import inf, nan

import pytest
import trio
from trio.testing import MockClock

from runtime.sim import run_deterministically
from runtime.sim.cheap_loop import LOOK_EVERY, cheap_scopes, cheapen_run
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


async def scopes(note: Callable[[str], None]) -> None:
    """What scopes do whose deadlines are set, moved, taken away, nested and shielded."""

    async def within(name: str, seconds: float, **options: bool) -> trio.CancelScope:
        with trio.move_on_after(seconds, **options) as scope:
            await trio.sleep(5)
            note(f"{name} slept")
        note(f"{name} {'cut off' if scope.cancelled_caught else 'ended'}")
        return scope

    async def moved(deadlines: list[float]) -> None:
        with trio.CancelScope() as scope:
            for deadline in deadlines:
                scope.deadline = trio.current_time() + deadline
                await trio.sleep(1)
        note(f"moved {deadlines} {scope.cancelled_caught}")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(within, "long", 6)
        nursery.start_soon(within, "short", 2)
        nursery.start_soon(moved, [3, 0.5, 9])
        nursery.start_soon(moved, [3, inf, 9])
    with trio.move_on_after(1):
        await within("shielded", 3, shield=True)
    with trio.move_on_after(1) as outer:
        await within("inside", 3)
    note(f"outside {outer.cancelled_caught}")
    with trio.CancelScope(deadline=-inf) as late:
        await trio.sleep(1)
    note(f"late {late.cancelled_caught}")


def told(*, cheaply: bool) -> list[tuple[float, str]]:
    seen: list[tuple[float, str]] = []

    async def main() -> None:
        if cheaply:
            cheapen_run()
        await scopes(lambda what: seen.append((trio.current_time(), what)))

    with cheap_scopes() if cheaply else nullcontext():
        trio.run(main, clock=virtual_clock())
    return sorted(seen)


def test_cheap_scopes_do_what_those_of_trio_do() -> None:
    before = trio.CancelScope._might_change_registered_deadline
    assert told(cheaply=True) == told(cheaply=False)
    assert trio.CancelScope._might_change_registered_deadline is before


def test_a_cheap_loop_hears_from_outside_and_is_seen_by_instruments() -> None:
    class Steps(trio.abc.Instrument):
        count = 0

        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            self.count += 1

    async def main() -> int:
        cheapen_run()
        heard, steps = trio.Event(), Steps()
        trio.lowlevel.add_instrument(steps)
        trio.lowlevel.current_trio_token().run_sync_soon(heard.set)
        for _ in range(3 * LOOK_EVERY):
            await trio.lowlevel.checkpoint()
        trio.lowlevel.remove_instrument(steps)
        assert heard.is_set()
        return steps.count

    assert trio.run(main, clock=virtual_clock()) >= 3 * LOOK_EVERY
