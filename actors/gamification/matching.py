"""Whether article numbers match the patterns of rules: asked of processes that can be ended.

A regular expression may take for ever, and nothing within a process stops it. So the matching is
done in one beside it, which is ended when it takes longer than a rule may.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import attrs
import msgspec
import structlog
import trio

from actors.gamification import pattern_worker
from actors.gamification.limits import RULE_LIMIT_S
from actors.gamification.metrics import gamification_metrics
from runtime import Call, Workers
from runtime.processes import WorkerEnded, WorkerFailed, WorkerProcess

log = structlog.get_logger("loyalnest.gamification")

PATTERNS: Final = "gamification.patterns"
"""Name of the actor. Only players speak to it."""

PROCESSES_MAX: Final = 2

KEPT_VARIABLES: Final = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
"""Of the environment: what a process gets to see. No secrets are among them."""

UNPACKED: Final = "_PYI_"
"""Begins the variables that tell a one-file program where it is unpacked already."""


@attrs.frozen
class Match(Call[tuple[bool, ...]]):
    """Which of `skus` match `pattern` as a whole, in order. Raises `WorkerFailed`."""

    pattern: str
    skus: tuple[str, ...]


class Complaint(msgspec.Struct, frozen=True):
    """What a process says of a pattern that cannot be matched with."""

    error: str


class Patterns(Workers):
    """Has up to `PROCESSES_MAX` processes, started when they are needed, and ended with it."""

    concurrency: ClassVar[int] = PROCESSES_MAX
    passes_on: ClassVar[tuple[type[Exception], ...]] = (WorkerFailed,)

    def __init__(self) -> None:
        super().__init__()
        self._idle: list[WorkerProcess] = []

    async def started(self) -> None:
        self.start_task(self._close_at_the_end)

    async def receive(self, message: Any) -> object:
        if not isinstance(message, Match):
            return await super().receive(message)
        return await self._match(message)

    async def _match(self, message: Match) -> tuple[bool, ...]:
        process = await self._process()
        try:
            answer = await process.ask(msgspec.json.encode(message), RULE_LIMIT_S)
        except WorkerEnded:
            gamification_metrics(self.system.metrics.registry).ended.inc()
            log.warning("pattern_process_ended", pid=process.pid, pattern=message.pattern)
            raise
        self._idle.append(process)
        found = msgspec.json.decode(answer, type=list[bool] | Complaint)
        if isinstance(found, Complaint):
            raise WorkerFailed(found.error)
        return tuple(found)

    async def _process(self) -> WorkerProcess:
        while self._idle:
            process = self._idle.pop()
            if not process.ended:
                return process
            await process.close()
        return await WorkerProcess.start(worker_command(), worker_environment(os.environ))

    async def _close_at_the_end(self) -> None:
        """Also when the actor is killed."""
        try:
            await trio.sleep_forever()
        finally:
            while self._idle:
                await self._idle.pop().close()


def worker_command() -> list[str]:
    """What starts a process: in the one-file program there is no Python beside it."""
    if getattr(sys, "frozen", False):
        return [sys.executable, "pattern-worker"]
    return [sys.executable, "-I", str(Path(pattern_worker.__file__))]


def worker_environment(ours: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in ours.items()
        if name in KEPT_VARIABLES or name.startswith(UNPACKED)
    }
