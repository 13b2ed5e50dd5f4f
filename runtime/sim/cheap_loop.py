"""Trio's loop without what a simulation has no use for, which is a tenth of what one costs.

Nothing in a simulation waits for a file or a socket, and no loop of another library drives it.
What is used of Trio's inside, `tests/sim/test_virtual_time.py` compares with Trio's own.
"""

from collections.abc import Iterator, MutableSequence, Sequence
from contextlib import contextmanager
from math import inf
from random import Random
from types import TracebackType
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
    generator, which costs four times as much."""

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


_trio_enters: Final = trio.CancelScope.__enter__
_trio_exits: Final = trio.CancelScope.__exit__


def _enter(scope: trio.CancelScope) -> trio.CancelScope:
    """As Trio's own, which sees to all that is seldom: what was cancelled before, or is late."""
    task = RUNNING.task
    around: scheduler.CancelStatus | None = task._cancel_status
    now = RUNNING.runner.current_time()
    deadline = scope._deadline
    if scope._relative_deadline != inf:
        deadline = now + scope._relative_deadline
    if (
        scope._has_been_entered
        or scope._cancel_called
        or around is None
        or around.effectively_cancelled
        or now >= deadline
    ):
        return _trio_enters(scope)
    scope._has_been_entered = True
    scope._deadline, scope._relative_deadline = deadline, inf
    status = scheduler.CancelStatus(scope=scope)
    status._parent = around
    around._children.add(status)
    around._tasks.remove(task)
    status._tasks.add(task)
    task._cancel_status = scope._cancel_status = status
    if deadline != inf:
        scope._registered_deadline = deadline
        RUNNING.runner.deadlines.add(deadline, scope)
    return scope


def _exit(
    scope: trio.CancelScope,
    kind: type[BaseException] | None,
    error: BaseException | None,
    traceback: TracebackType | None,
) -> bool:
    """As Trio's own, which sees to all that is seldom: cancellation, and scopes out of order."""
    status, task = scope._cancel_status, RUNNING.task
    around = status._parent if status is not None else None
    if (
        status is None
        or around is None
        or task._cancel_status is not status
        or status._children
        or len(status._tasks) != 1
        or (error is not None and status.effectively_cancelled)
    ):
        return _trio_exits(scope, kind, error, traceback)
    around._tasks.add(task)
    around._children.remove(status)
    status._tasks.clear()
    status._parent = None
    task._cancel_status = around
    scope._cancel_status = None
    before = scope._registered_deadline
    if before != inf:
        scope._registered_deadline = inf
        RUNNING.runner.deadlines.remove(before, scope)
    return False


@contextmanager
def cheap_scopes() -> Iterator[None]:
    """While the block runs, cancel scopes cost less. Not for runs within another loop."""
    cheap = {
        "_might_change_registered_deadline": _registration,
        "__enter__": _enter,
        "__exit__": _exit,
    }
    before = {name: trio.CancelScope.__dict__[name] for name in cheap}
    for name, method in cheap.items():
        setattr(trio.CancelScope, name, method)
    try:
        yield
    finally:
        for name, method in before.items():
            setattr(trio.CancelScope, name, method)
