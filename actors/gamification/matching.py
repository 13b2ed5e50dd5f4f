"""Whether article numbers match the patterns of rules: asked of processes that can be ended.

A regular expression may take for ever, and nothing within a process stops it. So the matching is
done in one beside it, which is ended when it takes longer than a rule may.
"""

import sys
from pathlib import Path
from typing import Any, ClassVar, Final

import attrs
import msgspec
import structlog

from actors.gamification import pattern_worker
from actors.gamification.limits import RULE_LIMIT_S
from actors.gamification.metrics import gamification_metrics
from runtime import Call
from runtime.process_workers import ProcessWorkers
from runtime.processes import WorkerEnded, WorkerFailed

log = structlog.get_logger("loyalnest.gamification")

PATTERNS: Final = "gamification.patterns"
"""Name of the actor. Only players speak to it."""

PROCESSES_MAX: Final = 2


@attrs.frozen
class Match(Call[tuple[bool, ...]]):
    """Which of `skus` match `pattern` as a whole, in order. Raises `WorkerFailed`."""

    pattern: str
    skus: tuple[str, ...]


class Complaint(msgspec.Struct, frozen=True):
    """What a process says of a pattern that cannot be matched with."""

    error: str


class Patterns(ProcessWorkers):
    """Matches in up to `PROCESSES_MAX` processes."""

    concurrency: ClassVar[int] = PROCESSES_MAX
    passes_on: ClassVar[tuple[type[Exception], ...]] = (WorkerFailed,)

    def __init__(self) -> None:
        super().__init__(worker_command)

    async def receive(self, message: Any) -> object:
        if not isinstance(message, Match):
            return await super().receive(message)
        return await self._match(message)

    async def _match(self, message: Match) -> tuple[bool, ...]:
        try:
            answer = await self.asked(msgspec.json.encode(message), RULE_LIMIT_S)
        except WorkerEnded:
            gamification_metrics(self.system.metrics.registry).ended.inc()
            log.warning("pattern_process_ended", pattern=message.pattern)
            raise
        found = msgspec.json.decode(answer, type=list[bool] | Complaint)
        if isinstance(found, Complaint):
            raise WorkerFailed(found.error)
        return tuple(found)


def worker_command() -> list[str]:
    """What starts a process: in the one-file program there is no Python beside it."""
    if getattr(sys, "frozen", False):
        return [sys.executable, "pattern-worker"]
    return [sys.executable, "-I", str(Path(pattern_worker.__file__))]
