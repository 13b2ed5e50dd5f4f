"""A process that works for the program: its checkpoints, and what becomes of it when nobody waits.

The patterns of gamification's rules test what it answers, and its limits.
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import assert_checkpoints

from runtime.processes import NICENESS, READY, WorkerProcess

ECHO = f"""
import os
import sys
def say(data):
    sys.stdout.buffer.write(len(data).to_bytes(4, "big") + data)
    sys.stdout.buffer.flush()
say({READY!r})
while header := sys.stdin.buffer.read(4):
    data = sys.stdin.buffer.read(int.from_bytes(header, "big"))
    if data != b"hang":
        say(data)
"""
NOTES_HOW_IT_BEGAN = """
import os
import time
while os.getpriority(os.PRIO_PROCESS, 0) == int(os.environ["OURS"]) < 19:
    time.sleep(0.001)
begun_with = os.getpriority(os.PRIO_PROCESS, 0)
"""
LIMIT_S = 20.0

pytestmark = pytest.mark.slow


async def started() -> WorkerProcess:
    return await WorkerProcess.start([sys.executable, "-S", "-c", ECHO], {})


@asynccontextmanager
async def echo() -> AsyncIterator[WorkerProcess]:
    worker = await started()
    try:
        yield worker
    finally:
        await worker.close()


async def test_every_method_is_a_checkpoint() -> None:
    with assert_checkpoints():
        worker = await started()
    with assert_checkpoints():
        assert await worker.ask(b"something", LIMIT_S) == b"something"
    with assert_checkpoints():
        await worker.close()
    assert worker.ended


async def test_it_gives_way_within_our_session_and_hears_no_ctrl_c() -> None:
    """In a session of its own its priority would count for nothing where the system shares the
    processor out between sessions; a Ctrl-C goes to the process group."""
    worker = await WorkerProcess.start([sys.executable, "-S", "-c", ECHO], {}, 7)
    try:
        assert os.getpriority(os.PRIO_PROCESS, worker.pid) == min(
            19, os.getpriority(os.PRIO_PROCESS, 0) + 7
        )
        assert os.getsid(worker.pid) == os.getsid(0)
        assert os.getpgid(worker.pid) == worker.pid
    finally:
        await worker.close()


async def test_what_gives_way_most_gives_way_less_while_it_starts() -> None:
    """On a busy machine its start would not end."""
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    program = NOTES_HOW_IT_BEGAN + ECHO + "    say(b'%d' % begun_with)"
    command = [sys.executable, "-S", "-c", program]
    worker = await WorkerProcess.start(command, {"OURS": str(ours)}, 15)
    try:
        assert os.getpriority(os.PRIO_PROCESS, worker.pid) == min(19, ours + 15)
        assert await worker.ask(b"hang", LIMIT_S) == b"%d" % min(19, ours + NICENESS)
    finally:
        await worker.close()


async def test_in_a_scope_that_is_cancelled_already_no_process_is_left() -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await started()
    assert scope.cancelled_caught


async def test_process_whose_asker_goes_is_ended_and_waited_for() -> None:
    async with echo() as worker:
        with trio.move_on_after(0.05) as scope:
            await worker.ask(b"hang", LIMIT_S)
        assert scope.cancelled_caught
        assert worker.ended


async def test_close_is_not_cancelled_and_may_be_repeated() -> None:
    async with echo() as worker:
        with trio.CancelScope() as scope:
            scope.cancel()
            await worker.close()
        assert worker.ended
        await worker.close()
