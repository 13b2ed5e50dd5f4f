"""Trio as the guest of an asyncio loop, for the drivers that exist only for asyncio."""

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, TypeVarTuple

import outcome
import structlog
import trio

from runtime.host_wait import wait_in_loop

try:
    import uvloop

    _new_event_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
except ImportError:  # uvloop does not exist for Windows
    _new_event_loop = asyncio.new_event_loop

LEFTOVERS_TIMEOUT_S = 5.0

Result = TypeVar("Result")
Args = TypeVarTuple("Args")

log = structlog.get_logger("loyalnest.host")
_loop: trio.lowlevel.RunVar[asyncio.AbstractEventLoop] = trio.lowlevel.RunVar("host_loop")


class AsyncioCancelled(Exception):
    """Asyncio code cancelled the task of a `call`. No Trio scope had asked for it."""


def run(
    async_fn: Callable[[*Args], Awaitable[Result]],
    *args: *Args,
    clock: trio.abc.Clock | None = None,
    instruments: Sequence[trio.abc.Instrument] = (),
    strict_exception_groups: bool = True,
) -> Result:
    """Do what `trio.run` does, in a thread that an asyncio loop shares, so that `call` works.

    Results, exceptions, groups and KeyboardInterrupt come out as they do from `trio.run`. When
    Trio has ended, the asyncio tasks left over are cancelled and get `LEFTOVERS_TIMEOUT_S` to
    end; then asyncio's async generators and its executor are shut down.

    A clock with autojump takes the time spent in `call` for idle time, and jumps.
    """
    _refuse_nesting()
    wait_in_loop()
    loop = _new_event_loop()
    # uvloop owns the wake-up descriptor of signals; asyncio leaves it to Trio.
    owns_wakeup_fd = _new_event_loop is not asyncio.new_event_loop
    ended: asyncio.Future[outcome.Outcome[Result]] = loop.create_future()

    def start() -> None:
        # Inside the running loop, so that Trio's hooks for async generators wrap the loop's.
        try:
            trio.lowlevel.start_guest_run(
                async_fn,
                *args,
                run_sync_soon_threadsafe=loop.call_soon_threadsafe,
                run_sync_soon_not_threadsafe=loop.call_soon,
                done_callback=ended.set_result,
                host_uses_signal_set_wakeup_fd=owns_wakeup_fd,
                clock=clock,
                instruments=instruments,
                strict_exception_groups=strict_exception_groups,
            )
            _loop.set(loop)
        except BaseException as error:
            ended.set_result(outcome.Error(error))

    loop.call_soon(start)
    try:
        return loop.run_until_complete(ended).unwrap()
    finally:
        _close(loop)


async def call(function: Callable[[*Args], Awaitable[Result]], *args: *Args) -> Result:
    """Run an asyncio coroutine function in the host loop; return or raise its outcome.

    The coroutine is a task of its own and sees a copy of the caller's context variables.

    Cancellation: nothing starts in a scope that is already cancelled. Later, cancelling the
    scope cancels the asyncio task, waits until it has ended, and only then raises Cancelled; a
    coroutine that ignores its cancellation keeps the caller waiting. Cancelled wins over a
    result or an error that the task ends with all the same, and that is logged. If the task
    had ended before the cancellation reached it, its outcome counts.

    Raises `RuntimeError` outside `run`; `AsyncioCancelled` when asyncio code cancelled the task.
    """
    loop = _host_loop()
    caller = trio.lowlevel.current_task()
    # Captured, because a task that raised KeyboardInterrupt would stop the loop under Trio.
    task = loop.create_task(outcome.acapture(function, *args))
    task.add_done_callback(lambda _task: trio.lowlevel.reschedule(caller))
    raise_cancel: trio.lowlevel.RaiseCancelT | None = None

    def cancel(raise_cancelled: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
        nonlocal raise_cancel
        if task.cancel():
            raise_cancel = raise_cancelled
        return trio.lowlevel.Abort.FAILED

    await trio.lowlevel.wait_task_rescheduled(cancel)
    if raise_cancel is not None:
        _log_overruled(task, function)
        raise_cancel()
    try:
        return task.result().unwrap()
    except asyncio.CancelledError as error:
        raise AsyncioCancelled(f"asyncio cancelled {function}") from error


def _log_overruled(task: asyncio.Task[outcome.Outcome[Any]], function: object) -> None:
    error = None if task.cancelled() else getattr(task.result(), "error", None)
    if not task.cancelled() and not isinstance(error, asyncio.CancelledError):
        log.warning("call_outcome_overruled", function=function, exc_info=error)


def _host_loop() -> asyncio.AbstractEventLoop:
    try:
        return _loop.get()
    except (LookupError, RuntimeError):
        raise RuntimeError("host.call works only inside a Trio run started by host.run") from None


def _refuse_nesting() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError("host.run cannot start inside a running event loop")


def _close(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_until_complete(_end_leftovers())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        # A warning that is an error would leave its connection open, and the loop waiting for it.
        with warnings.catch_warnings():
            warnings.simplefilter("default", ResourceWarning)
            loop.close()


async def _end_leftovers() -> None:
    leftovers = asyncio.all_tasks() - {asyncio.current_task()}
    for task in leftovers:
        task.cancel()
    _, stuck = await asyncio.wait(leftovers, timeout=LEFTOVERS_TIMEOUT_S) if leftovers else ((), ())
    for task in stuck:
        log.error("asyncio_task_abandoned", task=task.get_name())
