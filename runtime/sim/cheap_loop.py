"""Trio's loop without what a simulation has no use for, which is a tenth of what one costs.

Nothing in a simulation waits for a file or a socket, and no loop of another library drives it.
What is used of Trio's inside, `tests/sim/test_virtual_time.py` compares with Trio's own.
"""

from collections.abc import Iterator, MutableSequence, Sequence
from contextlib import contextmanager
from math import inf
from random import Random
from typing import Any, Final

import trio
from trio._core import _run as scheduler
from trio._core._instrumentation import Instruments

RUNNING: Final = scheduler.GLOBAL_RUN_CONTEXT

LOOK_EVERY: Final = 256
"""Rounds of the loop between two looks at what is outside: how long an interrupt from the
keyboard may take."""


class _RarelyLooked:
    """Trio's own I/O manager, which is asked for events in one of `LOOK_EVERY` rounds."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._rounds = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._manager, name)

    def get_events(self, timeout: float) -> Sequence[Any]:
        self._rounds += 1
        if self._rounds % LOOK_EVERY:
            return ()
        events: Sequence[Any] = self._manager.get_events(timeout)
        return events

    def process_events(self, events: Sequence[Any]) -> None:
        if events:
            self._manager.process_events(events)


class _Instruments(dict[str, Any]):
    """Trio's own are a dictionary written in Python, which is asked six times in every step."""

    add_instrument = Instruments.add_instrument
    remove_instrument = Instruments.remove_instrument
    call = Instruments.call

    @property
    def data(self) -> "_Instruments":
        return self


def cheapen_run() -> None:
    """From now on, a round of the run in progress costs less, and it looks at files and sockets
    once in a while."""
    runner = RUNNING.runner
    runner.io_manager = _RarelyLooked(runner.io_manager)  # type: ignore[assignment]
    runner.instruments = _Instruments(runner.instruments.data)  # type: ignore[assignment]


@contextmanager
def shuffles_several(random: Random) -> Iterator[None]:
    """While the block runs, `random` has nothing to do with what is alone, as most tasks are that
    can go on. It draws what it would have drawn."""
    shuffle = random.shuffle

    def shuffle_several(tasks: MutableSequence[Any]) -> None:
        if len(tasks) > 1:
            shuffle(tasks)

    random.shuffle = shuffle_several  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        del random.shuffle


class _Registration:
    """A block after which the deadline of a scope is registered as it is then. Trio's own is a
    generator, which costs four times as much, twice for every scope."""

    __slots__ = ("_scope",)

    def __init__(self, scope: trio.CancelScope) -> None:
        self._scope = scope

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_error: object) -> None:
        scope = self._scope
        before = scope._registered_deadline
        over = scope._cancel_status is None or scope._cancel_called
        deadline = inf if over else scope._deadline
        if before == deadline:
            return
        scope._registered_deadline = deadline
        deadlines = RUNNING.runner.deadlines
        if before != inf:
            deadlines.remove(before, scope)
        if deadline != inf:
            deadlines.add(deadline, scope)


def _registration(scope: trio.CancelScope) -> _Registration:
    return _Registration(scope)


@contextmanager
def cheap_scopes() -> Iterator[None]:
    """While the block runs, cancel scopes cost less. Not for runs within another loop."""
    before = trio.CancelScope._might_change_registered_deadline
    trio.CancelScope._might_change_registered_deadline = _registration  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        trio.CancelScope._might_change_registered_deadline = before  # type: ignore[method-assign]
