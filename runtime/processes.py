"""A process of our own that works for this one: what it does can be ended, whatever it does.

It reads requests from its standard input and answers on its standard output, one at a time; each
is a length of four bytes (big-endian) and so many bytes. First of all it says `READY`.
"""

import os
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import trio

HEADER_BYTES: Final = 4
FRAME_BYTES_MAX: Final = 1 << 20

READY: Final = b"ready"

START_LIMIT_S: Final = 60.0
"""A second is enough where the processor is free; whoever gives way may wait long for one that is
not."""

NICENESS: Final = 5
"""Above that of this process: whoever asks goes first. It counts only within a session, where the
system shares the processor out between sessions first (`autogroup` in sched(7)). None gives way by
more while it starts, which takes a second of the processor: 15 steps below, a busy one gives it
one or two in a minute."""


class WorkerFailed(Exception):
    """There is no answer: the process did not start, ended, or said what nobody understands. It is
    gone."""


class WorkerEnded(WorkerFailed):
    """It took longer than it may, and was ended."""


class WorkerProcess:
    """One process. Whoever asks has it alone, and closes it in the end.

    Anything but an answer ends the process at once, by its id: a limit that passes, a cancelled
    asker, a frame that is none.
    """

    def __init__(self, process: trio.Process) -> None:
        self._process = process

    @staticmethod
    async def start(
        command: Sequence[str], environment: Mapping[str, str], niceness: int = NICENESS
    ) -> "WorkerProcess":
        """Start it, and wait until it is ready. Raises `WorkerFailed`.

        It is in a process group of its own, which a Ctrl-C at the terminal does not reach.
        """
        try:
            process = await trio.lowlevel.open_process(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=dict(environment),
                process_group=0,
            )
        except OSError as error:
            raise WorkerFailed(f"it cannot be started: {error}") from error
        worker = WorkerProcess(process)
        worker._give_way(min(niceness, NICENESS))
        first = await worker._within(START_LIMIT_S, worker._receive)
        if first != READY:
            await worker.close()
            raise WorkerFailed("it did not say that it is ready")
        worker._give_way(niceness)
        return worker

    def _give_way(self, niceness: int) -> None:
        with suppress(OSError):
            own = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, self.pid, own + niceness)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    async def ask(self, request: bytes, limit_s: float) -> bytes:
        """Its answer. Raises `WorkerEnded` after `limit_s`, and other kinds of `WorkerFailed`."""

        async def exchange() -> bytes:
            await self._stdin.send_all(framed(request))
            return await self._receive()

        return await self._within(limit_s, exchange)

    async def close(self) -> None:
        """End the process, if it has not ended, and wait until it has. Not cancelled."""
        with trio.CancelScope(shield=True):
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    await trio.aclose_forcefully(stream)

    @property
    def _stdin(self) -> trio.abc.SendStream:
        if self._process.stdin is None:
            raise WorkerFailed("it has no standard input")
        return self._process.stdin

    async def _within(self, limit_s: float, talk: Callable[[], Awaitable[bytes]]) -> bytes:
        answered = False
        try:
            with trio.move_on_after(limit_s):
                answer = await talk()
                answered = True
                return answer
            raise WorkerEnded(f"it took longer than {limit_s * 1000:g} ms")
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise WorkerFailed("it ended") from error
        finally:
            if not answered:
                await self.close()

    async def _receive(self) -> bytes:
        size = int.from_bytes(await self._exactly(HEADER_BYTES), "big")
        if size > FRAME_BYTES_MAX:
            raise WorkerFailed("it said too much")
        return await self._exactly(size)

    async def _exactly(self, count: int) -> bytes:
        stream = self._process.stdout
        received = bytearray()
        while stream is not None and len(received) < count:
            some = await stream.receive_some(count - len(received))
            if not some:
                raise WorkerFailed("it ended")
            received += some
        return bytes(received)


def framed(data: bytes) -> bytes:
    return len(data).to_bytes(HEADER_BYTES, "big") + data
