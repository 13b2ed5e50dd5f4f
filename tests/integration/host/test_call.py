"""What `host.call` promises: outcomes, cancellation, context. No server needed."""

import asyncio
import contextvars
import traceback

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import wait_all_tasks_blocked

from runtime import host

pytestmark = pytest.mark.trio(run=host.run)

where = contextvars.ContextVar("where", default="nowhere")


async def test_arguments_and_result_pass_through() -> None:
    async def add(left: int, right: int) -> int:
        await asyncio.sleep(0)
        return left + right

    assert await host.call(add, 1, 2) == 3


async def test_an_exception_keeps_its_identity_and_shows_where_it_was_raised() -> None:
    error = LookupError("boom")

    async def deep_in_asyncio() -> None:
        await asyncio.sleep(0)
        raise error

    with pytest.raises(LookupError) as caught:
        await host.call(deep_in_asyncio)
    assert caught.value is error
    assert "deep_in_asyncio" in [frame.name for frame in traceback.extract_tb(error.__traceback__)]


async def test_keyboard_interrupt_in_a_coroutine_reaches_its_caller() -> None:
    async def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await host.call(interrupted)
    assert await host.call(asyncio.sleep, 0, "the loop goes on") == "the loop goes on"


async def test_what_is_not_a_coroutine_function_is_refused() -> None:
    with pytest.raises(TypeError):
        await host.call(int, "1")  # type: ignore[arg-type]


async def test_the_coroutine_sees_a_copy_of_the_callers_context() -> None:
    async def move() -> str:
        seen = where.get()
        where.set("asyncio")
        return seen

    where.set("trio")
    assert await host.call(move) == "trio"
    assert where.get() == "trio"


async def test_nothing_starts_in_a_cancelled_scope() -> None:
    started = False

    async def start() -> None:
        nonlocal started
        started = True

    with trio.CancelScope() as scope:
        scope.cancel()
        await host.call(start)
    assert scope.cancelled_caught
    assert not started


async def test_cancelled_comes_after_the_cleanup_of_the_coroutine() -> None:
    diary: list[str] = []

    async def cleans_up() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0.01)
            diary.append("cleaned up")

    with trio.move_on_after(0.01) as scope:
        await host.call(cleans_up)
    assert scope.cancelled_caught
    assert diary == ["cleaned up"]


async def test_a_call_cancelled_before_its_first_step_ends() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(host.call, asyncio.sleep, 10)
        await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert nursery.cancel_scope.cancelled_caught


async def test_an_outcome_older_than_the_cancellation_counts() -> None:
    results: list[str] = []
    task: asyncio.Task[object] | None = None
    finish = asyncio.Event()

    async def wait() -> str:
        nonlocal task
        task = asyncio.current_task()
        await finish.wait()
        return "done"

    async def call() -> None:
        results.append(await host.call(wait))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call)
        await wait_all_tasks_blocked()
        assert task is not None
        # The callbacks of a task run in order: this one comes after the step that ends it and,
        # being scheduled from outside, before the caller has been resumed.
        finish.set()
        while not task.done():
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert results == ["done"]


@pytest.mark.parametrize("stubborn_end", ["a result", LookupError("an error")])
async def test_cancelled_wins_over_a_stubborn_outcome_which_is_logged(
    stubborn_end: str | Exception,
) -> None:
    async def stubborn() -> str:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            if isinstance(stubborn_end, str):
                return stubborn_end
            raise stubborn_end from None
        return "not reached"

    with capture_logs() as logs, trio.move_on_after(0.01) as scope:
        await host.call(stubborn)
    assert scope.cancelled_caught
    (entry,) = logs
    assert entry["event"] == "call_outcome_overruled"
    assert entry["exc_info"] is (stubborn_end if isinstance(stubborn_end, Exception) else None)


async def test_a_cancellation_by_asyncio_code_is_an_ordinary_error() -> None:
    async def cancels_itself() -> None:
        asyncio.current_task().cancel()  # type: ignore[union-attr]
        await asyncio.sleep(0)

    with pytest.raises(host.AsyncioCancelled, match="cancels_itself"):
        await host.call(cancels_itself)


async def test_many_calls_overlap() -> None:
    barrier = asyncio.Barrier(20)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(host.call, barrier.wait)
