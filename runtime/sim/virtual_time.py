"""Virtual time: a clock that jumps whenever all tasks wait, and sleep that costs next to nothing.

Trio's own would do, and do the same. But its clock asks the real one for every look at the time,
collects all statistics before a jump and goes through the loop once more after it; its sleep is a
cancel scope that is cancelled. Together that was a third of a simulation. What is used of Trio's
inside, `tests/sim/test_virtual_time.py` compares with Trio's own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from math import inf
from typing import Final

import trio
from trio._core import _run as scheduler
from trio.lowlevel import Abort, Task, current_task, reschedule
from trio.testing import MockClock

RUNNING: Final = scheduler.GLOBAL_RUN_CONTEXT


def virtual_clock() -> MockClock:
    """A clock that starts at 0, and wakes at once those for whom it jumps."""
    clock = MockClock(autojump_threshold=0)

    def jump_to_next_deadline() -> None:
        deadlines = RUNNING.runner.deadlines
        deadline = deadlines.next_deadline()
        if clock._virtual_base < deadline < inf:
            clock._virtual_base = deadline
            deadlines.expire(deadline)

    # Without a frame of its own: nothing is called more often.
    clock.current_time = partial(getattr, clock, "_virtual_base")  # type: ignore[method-assign]
    clock._autojump = jump_to_next_deadline  # type: ignore[method-assign]
    return clock


class _Alarm:
    """In place of a cancel scope among Trio's deadlines: it wakes a task, and cancels nothing."""

    __slots__ = ("_registered_deadline", "_task")

    def __init__(self, task: Task, at: float) -> None:
        self._task = task
        self._registered_deadline = at

    def disarm(self) -> None:
        RUNNING.runner.deadlines.remove(self._registered_deadline, self)  # type: ignore[arg-type]
        self._registered_deadline = inf

    def _cancel(self, _reason: object) -> None:
        self.disarm()
        reschedule(self._task)


async def sleep(seconds: float) -> None:
    """As `trio.sleep`: a checkpoint, for so long; raises `ValueError` for less than 0."""
    if not seconds >= 0:
        raise ValueError("`seconds` must be non-negative")
    if seconds == 0:
        await trio.lowlevel.checkpoint()
        return
    if seconds == inf:
        await trio.sleep_forever()
    task, at = current_task(), trio.current_time() + seconds
    alarm = _Alarm(task, at)
    RUNNING.runner.deadlines.add(at, alarm)  # type: ignore[arg-type]

    def abort(_raise_cancel: object) -> Abort:
        alarm.disarm()
        return Abort.SUCCEEDED

    await trio.lowlevel.wait_task_rescheduled(abort)


@contextmanager
def cheap_sleep() -> Iterator[None]:
    """While the block runs, `trio.sleep` is the one of this module."""
    before = trio.sleep
    trio.sleep = sleep
    try:
        yield
    finally:
        trio.sleep = before


@contextmanager
def cheap_time(clock: MockClock) -> Iterator[None]:
    """While the block runs, looks at Trio's time are looks at `clock`, of the only run there is."""
    before = scheduler.Runner.__dict__["current_time"]
    scheduler.Runner.current_time = staticmethod(clock.current_time)  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        scheduler.Runner.current_time = before  # type: ignore[method-assign]
