"""An actor with processes of its own: when they start, who has them, and when they end."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
from trio.testing import assert_checkpoints

from runtime import ActorSystem, AskTimeout, Call, ChildSpec, Supervisor, process_workers
from runtime.process_workers import ProcessWorkers
from runtime.processes import READY, WorkerEnded, WorkerFailed, WorkerProcess
from tests.integration.gateway.helpers import eventually

pytestmark = pytest.mark.slow

LIMIT_S = 60.0
TELLS_ITS_ID = f"""
import os, sys
def say(data):
    sys.stdout.buffer.write(len(data).to_bytes(4, "big") + data)
    sys.stdout.buffer.flush()
say({READY!r})
while header := sys.stdin.buffer.read(4):
    if sys.stdin.buffer.read(int.from_bytes(header, "big")) != b"hang":
        say(f"{{os.getpid()}} {{os.environ.get('OURS')}}".encode())
"""


@attrs.frozen
class Ask(Call[bytes]):
    request: bytes
    limit_s: float = LIMIT_S
    checked: bool = False


class Asking(ProcessWorkers):
    passes_on = (WorkerFailed,)

    def __init__(self, code: str = TELLS_ITS_ID) -> None:
        super().__init__(lambda: [sys.executable, "-S", "-c", code], {"OURS": "told"})

    async def receive(self, message: Any) -> object:
        if not isinstance(message, Ask):
            return await super().receive(message)
        if not message.checked:
            return await self.asked(message.request, message.limit_s)
        with assert_checkpoints():
            return await self.asked(message.request, message.limit_s)


@asynccontextmanager
async def asking(code: str = TELLS_ITS_ID) -> AsyncIterator[ActorSystem]:
    worker = ChildSpec("asking", lambda: Asking(code), name="asking")
    async with ActorSystem().run(ChildSpec("root", lambda: Supervisor((worker,)))) as system:
        yield system


async def process_of(system: ActorSystem, *, checked: bool = False) -> int:
    answer = await system.ref("asking").ask(Ask(b"who?", checked=checked), timeout_s=LIMIT_S)
    pid, told = answer.split()
    assert told == b"told"
    return int(pid)


async def gone(pid: int) -> bool:
    return not os.path.exists(f"/proc/{pid}")  # noqa: ASYNC240, PTH110 - no file, and at once


async def test_one_process_is_asked_again_and_ends_with_the_actor() -> None:
    async with asking() as system:
        pid = await process_of(system, checked=True)
        assert await process_of(system, checked=True) == pid
    assert await gone(pid)


async def test_a_process_that_nobody_needs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_workers, "IDLE_S", 0.05)
    async with asking() as system:
        pid = await process_of(system)
        await eventually(lambda: gone(pid))
        assert await process_of(system) != pid


async def test_a_process_that_takes_too_long_is_ended_and_replaced() -> None:
    async with asking() as system:
        pid = await process_of(system)
        with pytest.raises(WorkerEnded):
            await system.ref("asking").ask(Ask(b"hang", 0.05), timeout_s=LIMIT_S)
        assert await gone(pid)
        assert await process_of(system) != pid


async def test_an_asker_that_is_cancelled_leaves_no_process() -> None:
    async with asking() as system:
        pid = await process_of(system)
        with trio.move_on_after(0.05) as gave_up:
            await system.ref("asking").ask(Ask(b"hang"), timeout_s=LIMIT_S)
        assert gave_up.cancelled_caught
        await eventually(lambda: gone(pid))


async def test_a_process_that_starts_slowly_is_there_for_the_next_asker() -> None:
    """Whoever gives up does not end it: it would never be ready."""
    begun: list[int] = []
    start = WorkerProcess.start

    async def slow(*arguments: Any) -> WorkerProcess:
        begun.append(len(begun))
        await trio.sleep(0.2)
        return await start(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WorkerProcess, "start", slow)
        async with asking() as system:
            for _ in range(3):
                with pytest.raises(AskTimeout):
                    await system.ref("asking").ask(Ask(b"who?"), timeout_s=0.05)
            pid = await process_of(system)
            assert await process_of(system) == pid
    assert begun == [0]


async def test_a_process_that_does_not_start_is_told() -> None:
    async with asking("raise SystemExit(1)") as system:
        with pytest.raises(WorkerFailed):
            await process_of(system)
