"""What `host.run` promises: it ends as `trio.run` would, and leaves nothing behind."""

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import sniffio
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from runtime import host

where = contextvars.ContextVar("where", default="nowhere")


@pytest.fixture(params=["uvloop", "asyncio"], autouse=True)
def loop_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every promise holds on both loops."""
    if request.param == "asyncio":
        monkeypatch.setattr(host, "_new_event_loop", asyncio.new_event_loop)
    return str(request.param)


@pytest.fixture
def signal_soon() -> Iterator[Callable[[signal.Signals], None]]:
    """Sends this process a signal a moment later."""
    timers: list[threading.Timer] = []

    def send(number: signal.Signals) -> None:
        timers.append(threading.Timer(0.05, os.kill, (os.getpid(), number)))
        timers[-1].start()

    yield send
    for timer in timers:
        timer.join()


def test_the_loop_is_uvloop_where_there_is_one(loop_kind: str) -> None:
    async def name() -> str:
        return type(asyncio.get_running_loop()).__module__

    assert host.run(host.call, name).startswith(loop_kind)


def test_arguments_and_result_pass_through() -> None:
    async def main(left: int, right: int) -> int:
        return left + right

    assert host.run(main, 1, 2) == 3


def test_clock_and_instruments_reach_trio() -> None:
    class Counter(trio.abc.Instrument):
        steps = 0

        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            self.steps += 1

    counter = Counter()
    host.run(trio.sleep, 3600, clock=MockClock(autojump_threshold=0), instruments=[counter])
    assert counter.steps > 0


def test_an_exception_comes_out_as_it_is() -> None:
    error = LookupError("boom")

    async def main() -> None:
        raise error

    with pytest.raises(LookupError) as caught:
        host.run(main)
    assert caught.value is error


def test_an_exception_group_comes_out_as_it_is() -> None:
    async def crash(error: Exception) -> None:
        raise error

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(crash, LookupError())
            nursery.start_soon(crash, ValueError())

    with pytest.RaisesGroup(LookupError, ValueError):
        host.run(main)


@pytest.mark.parametrize("sleep", [trio.sleep, lambda s: host.call(asyncio.sleep, s)])
def test_ctrl_c_ends_the_run(
    sleep: Callable[[float], object], signal_soon: Callable[[signal.Signals], None]
) -> None:
    cleaned_up = False

    async def main() -> None:
        nonlocal cleaned_up
        try:
            with trio.fail_after(15):
                signal_soon(signal.SIGINT)
                await sleep(60)  # type: ignore[misc]
        finally:
            cleaned_up = True

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        host.run(main)
    assert cleaned_up
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_signal_receiver_gets_its_signals(
    signal_soon: Callable[[signal.Signals], None],
) -> None:
    async def main() -> int:
        with trio.fail_after(15), trio.open_signal_receiver(signal.SIGTERM) as signals:
            signal_soon(signal.SIGTERM)
            return await anext(aiter(signals))

    assert host.run(main) == signal.SIGTERM


def test_context_variables_of_the_caller_are_visible() -> None:
    async def main() -> tuple[str, str]:
        async def on_asyncio() -> str:
            return where.get()

        return where.get(), await host.call(on_asyncio)

    token = where.set("here")
    try:
        assert host.run(main) == ("here", "here")
    finally:
        where.reset(token)


def test_asyncio_tasks_left_over_are_cancelled_and_awaited() -> None:
    diary: list[str] = []
    tasks: list[asyncio.Task[None]] = []

    async def leftover() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0)
            diary.append("cleaned up")

    async def leave_behind() -> None:
        tasks.append(asyncio.create_task(leftover()))
        await asyncio.sleep(0)

    host.run(host.call, leave_behind)
    assert diary == ["cleaned up"]
    assert tasks[0].cancelled()


def test_an_asyncio_task_that_will_not_end_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "LEFTOVERS_TIMEOUT_S", 0.01)
    release = threading.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue

    async def leave_behind() -> None:
        task = asyncio.create_task(stubborn(), name="stubborn")
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    with capture_logs() as logs:
        host.run(host.call, leave_behind)
    release.set()
    assert [(entry["event"], entry["task"]) for entry in logs] == [
        ("asyncio_task_abandoned", "stubborn")
    ]


LEAVES_A_CONNECTION = """
import asyncio, socket
from runtime import host

ours, theirs = socket.socketpair()

async def connect():
    return await asyncio.get_running_loop().create_unix_connection(asyncio.Protocol, sock=ours)

async def main():
    global kept
    kept = await host.call(connect)

host.run(main)
print("ended")
"""


def test_it_ends_with_connections_left_open_even_where_warnings_are_errors() -> None:
    command = [sys.executable, "-W", "error", "-c", LEAVES_A_CONNECTION]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.stdout == "ended\n", ended.stderr


def test_async_generators_of_both_sides_are_finalized_by_their_own_side() -> None:
    diary: list[tuple[str, str]] = []
    kept: list[object] = []

    async def numbers(side: str) -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            diary.append((side, sniffio.current_async_library()))

    async def take_one(side: str) -> None:
        generator = numbers(side)
        kept.append(generator)
        await anext(generator)

    async def main() -> None:
        await take_one("trio")
        await host.call(take_one, "asyncio")

    host.run(main)
    assert diary == [("trio", "trio"), ("asyncio", "asyncio")]


def test_call_outside_run_says_what_is_missing() -> None:
    async def main() -> None:
        await host.call(asyncio.sleep, 0)

    with pytest.raises(RuntimeError, match=r"host\.run"):
        trio.run(main)


def test_call_from_the_asyncio_side_is_refused_before_anything_starts() -> None:
    started = False

    async def start() -> None:
        nonlocal started
        started = True

    async def on_asyncio() -> None:
        with pytest.raises(RuntimeError, match="async context"):
            await host.call(start)
        await asyncio.sleep(0)

    async def main() -> None:
        await host.call(on_asyncio)

    host.run(main)
    assert not started


def test_run_inside_run_is_refused_and_the_outer_run_goes_on() -> None:
    async def main() -> str:
        with pytest.raises(RuntimeError, match="inside a running"):
            host.run(trio.sleep, 0)
        return await host.call(asyncio.sleep, 0, "on")

    assert host.run(main) == "on"


def test_run_inside_trio_is_refused() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="inside"):
            host.run(trio.sleep, 0)

    trio.run(main)


def test_runs_follow_one_another() -> None:
    async def main(number: int) -> int:
        return await host.call(asyncio.sleep, 0, number)

    assert [host.run(main, number) for number in range(3)] == [0, 1, 2]
