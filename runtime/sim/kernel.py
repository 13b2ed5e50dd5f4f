"""The kernel: one `trio.run` in virtual time whose every step follows from a seed.

Trio shuffles the tasks that are ready. Its own switch for Hypothesis puts them into the order of
their creation first and shuffles by a generator that can be seeded; both are private names, and
`tests/sim/test_kernel.py` says whether a version of Trio still has them.
"""

import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import trio
from trio._core import _run as scheduler

from runtime.sim.cheap_loop import cheap_scopes, cheapen_run, shuffles_several
from runtime.sim.virtual_time import cheap_sleep, cheap_time, virtual_clock

Result = TypeVar("Result")


class NotSimulated(Exception):
    """Something reached out of the simulation: its result would depend on more than the seed."""


def run_deterministically(
    async_fn: Callable[..., Awaitable[Result]], *args: Any, seed: int
) -> Result:
    """Run `async_fn` to its end and return or raise what it does.

    The clock starts at 0 and jumps whenever all tasks wait. What happens depends on `seed` and
    the arguments alone, as long as clock, randomness, ids and I/O come through ports; threads
    raise `NotSimulated`. Not from within another run. Everything is as before afterwards.
    """

    async def run() -> Result:
        cheapen_run()
        return await async_fn(*args)

    clock = virtual_clock()
    with (
        _seeded_scheduler(seed),
        _no_threads(),
        _no_collector(),
        cheap_sleep(),
        cheap_time(clock),
        cheap_scopes(),
    ):
        return trio.run(run, clock=clock)


@contextmanager
def _seeded_scheduler(seed: int) -> Iterator[None]:
    switch = scheduler._ALLOW_DETERMINISTIC_SCHEDULING
    state = scheduler._r.getstate()
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
    scheduler._r.seed(seed)
    try:
        with shuffles_several(scheduler._r):
            yield
    finally:
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING = switch  # type: ignore[misc]
        scheduler._r.setstate(state)


@contextmanager
def _no_collector() -> Iterator[None]:
    """When the collector runs, and finalizes generators, depends on all that was before. What is
    left afterwards goes at once: with the next runs' it would take twice as long."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            for young in (0, 1):
                gc.collect(young)
            gc.enable()


@contextmanager
def _no_threads() -> Iterator[None]:
    """A thread's work is idle time for the virtual clock, and ends whenever it likes."""
    run_sync = trio.to_thread.run_sync

    async def refuse(function: Callable[..., Any], *_args: Any, **_options: Any) -> NoReturn:
        name = getattr(function, "__qualname__", repr(function))
        raise NotSimulated(f"{name} would run in a thread: give the tree a port for it")

    trio.to_thread.run_sync = refuse  # type: ignore[assignment]
    try:
        yield
    finally:
        trio.to_thread.run_sync = run_sync


def raise_unsimulated(error: BaseException | None) -> None:
    """Raise the `NotSimulated` that led to `error`, if one did."""
    while error is not None:
        if isinstance(error, NotSimulated):
            raise error
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                raise_unsimulated(inner)
        error = error.__cause__ or error.__context__
