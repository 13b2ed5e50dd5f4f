"""An actor whose work is done in processes of its own, each asked for one thing at a time."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

import attrs
import trio

from runtime.message import Cast
from runtime.processes import NICENESS, WorkerFailed, WorkerProcess
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
    with it, also when it is killed. One that is on its way is waited for, also when the asker it
    was started for has given up: it may take longer to start than anybody has time.
    """

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
        self._waiting = self._starting = 0
        self._failures: list[WorkerFailed] = []
        self._changed = trio.Event()

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
        self._has_changed()

    def _has_changed(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def _process(self) -> WorkerProcess:
        if not self._waiting:
            self._failures.clear()  # of those who had given up
        self._waiting += 1
        try:
            while True:
                process = await self._taken()
                if process is not None:
                    return process
                if self._failures:
                    raise self._failures.pop()
                if self._starting < self._waiting:
                    self._starting += 1
                    self.start_task(self._start_for_askers)
                await self._changed.wait()
        finally:
            self._waiting -= 1

    async def _taken(self) -> WorkerProcess | None:
        """One of those that have nothing to do, if there is one."""
        while self._idle:
            process = self._idle.pop()
            if not process.ended:
                return process
            await process.close()
        return None

    async def _start_for_askers(self) -> None:
        try:
            process = await self._started()
        except WorkerFailed as error:
            if len(self._failures) < self._waiting:
                self._failures.append(error)
        else:
            self._keep(process)
        finally:
            self._starting -= 1
            self._has_changed()

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
