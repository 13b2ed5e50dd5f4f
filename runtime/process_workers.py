"""An actor whose work is done in processes of its own, each asked for one thing at a time."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

import attrs
import trio

from runtime.message import Cast
from runtime.processes import NICENESS, WorkerProcess
from runtime.workers import Workers

IDLE_S: Final = 60.0
"""A process that nobody has needed for so long is ended."""

KEPT_VARIABLES: Final = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
"""Of the environment: what a process gets to see. No secrets are among them."""

UNPACKED: Final = "_PYI_"
"""Begins the variables that tell a one-file program where it is unpacked already."""


@attrs.frozen
class EndIdle(Cast):
    """To itself: nobody has needed a process for a while."""


class ProcessWorkers(Workers):
    """Has up to `concurrency` processes of a `command`, started when they are needed, and ended
    with it, also when it is killed."""

    concurrency: ClassVar[int] = 1
    niceness: ClassVar[int] = NICENESS

    def __init__(
        self,
        command: Callable[[], Sequence[str]],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._command = command
        self._environment = environment or {}
        self._idle: list[WorkerProcess] = []

    async def started(self) -> None:
        self.start_task(self._close_at_the_end)

    async def receive(self, message: Any) -> object:
        if not isinstance(message, EndIdle):
            return await super().receive(message)
        await self._close_idle()
        return None

    @property
    def has_process(self) -> bool:
        """Whether there is one that waits for work, as far as is known."""
        return any(not process.ended for process in self._idle)

    async def start_one(self) -> None:
        """Have one more wait for work. Raises `WorkerFailed`."""
        self._keep(await self._started())

    async def asked(self, request: bytes, limit_s: float) -> bytes:
        """What a process answers. Errors as of `WorkerProcess.ask`, and of its start."""
        process = await self._process()
        answer = await process.ask(request, limit_s)
        self._keep(process)
        return answer

    def _keep(self, process: WorkerProcess) -> None:
        self._idle.append(process)
        self.timers.start("idle", IDLE_S, EndIdle())

    async def _process(self) -> WorkerProcess:
        while self._idle:
            process = self._idle.pop()
            if not process.ended:
                return process
            await process.close()
        return await self._started()

    async def _started(self) -> WorkerProcess:
        environment = {**worker_environment(os.environ), **self._environment}
        return await WorkerProcess.start(self._command(), environment, self.niceness)

    async def _close_idle(self) -> None:
        while self._idle:
            await self._idle.pop().close()

    async def _close_at_the_end(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            await self._close_idle()


def worker_environment(ours: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in ours.items()
        if name in KEPT_VARIABLES or name.startswith(UNPACKED)
    }
