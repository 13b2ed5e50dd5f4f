"""Guests wait in their loop and not in a thread, where Trio is as expected."""

import asyncio
import threading
from statistics import median

import pytest
import trio
import trio._core._run as trio_run
from trio._core._thread_cache import start_thread_soon

from runtime import host, host_wait


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The waits for which a thread was asked for."""
    asked: list[object] = []

    def start(get_events: object, deliver: object, name: str | None = None) -> None:
        asked.append(get_events)
        start_thread_soon(get_events, deliver, name)  # type: ignore[arg-type]

    monkeypatch.setattr(host_wait, "start_thread_soon", start)
    return asked


async def _wait_for_everything() -> list[str]:
    """Timers, sockets, threads and asyncio, each of which ends a wait."""
    ended = []
    await trio.sleep(0.01)
    ended.append("timer")
    left, right = trio.socket.socketpair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(left.recv, 1)
        await trio.sleep(0.005)
        await right.send(b"x")
    ended.append("socket")
    left.close()
    right.close()
    await trio.to_thread.run_sync(threading.Event().wait, 0.01)
    ended.append("thread")
    await host.call(asyncio.sleep, 0.01)
    ended.append("asyncio")
    return ended


def test_no_thread_waits(started: list[object]) -> None:
    assert host.run(_wait_for_everything) == ["timer", "socket", "thread", "asyncio"]
    assert started == []


def test_where_trio_is_not_as_expected_a_thread_waits(
    started: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_wait, "_loop_wait", lambda *_: None)
    assert host.run(_wait_for_everything) == ["timer", "socket", "thread", "asyncio"]
    assert started != []


def test_a_trio_without_what_is_replaced_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    host_wait.wait_in_thread()
    monkeypatch.delattr(trio_run, "GuestState")
    assert not host_wait.wait_in_loop()
    assert trio_run.start_thread_soon is start_thread_soon  # type: ignore[attr-defined]


def test_timers_are_never_early_and_hardly_late() -> None:
    """By what a busy machine adds, as Trio alone is late as well."""

    async def late() -> list[float]:
        late_s = []
        for number in range(40):
            due = trio.current_time() + number / 4_000
            await trio.sleep_until(due)
            late_s.append(trio.current_time() - due)
        return late_s

    before, late_s, after = trio.run(late), host.run(late), trio.run(late)
    assert min(late_s) >= 0
    usual_s = max(median(before), median(after))
    assert median(late_s) < 0.005 + 3 * usual_s
