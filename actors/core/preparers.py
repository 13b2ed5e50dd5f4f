"""The actor that has rows of imports made ready in a process beside the one with the requests."""

import sys
from math import inf
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
import structlog

from actors.core.cipher import Vault
from actors.core.prepare_worker import request_of, steps_of
from actors.core.preparing import Preparation, PreparedStep, PrepareRows
from actors.core.preparing_metrics import BESIDE, HERE, preparing_metrics
from runtime import Workers
from runtime.foreground import Turns
from runtime.parking import monotonic
from runtime.process_workers import ProcessWorkers
from runtime.processes import WorkerFailed
from runtime.system import ActorSystem
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.core")

PREPARING: Final = "core.preparing"
"""Name of the actor. Only imports speak to it."""

LIMIT_S: Final = 10.0
"""For what takes a hundredth of a second, in a process that gives way to all others."""

TRY_AGAIN_S: Final = 30.0
"""So long after a process failed no other is started."""

WORTH_BYTES: Final = 64 * 1024
"""Of rows that follow. Where there are fewer, they are done before a process has started."""

ROOT = Path(__file__).parents[2]


class Preparers(ProcessWorkers):
    """One process keeps up with all imports. Until it is there, and where there is none, rows are
    made ready here."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (Exception,)
    niceness: ClassVar[int] = 15

    def __init__(self, vault: Vault) -> None:
        super().__init__(worker_command, {"PYTHONPATH": str(ROOT)})
        self._vault = vault
        self._trouble = Trouble(log, "rows_prepared_here", "rows_prepared_beside_again")
        self._begins_at = -inf

    async def started(self) -> None:
        await super().started()
        self._metrics = preparing_metrics(self.system.metrics.registry)

    async def receive(self, message: Any) -> object:
        if not isinstance(message, PrepareRows):
            return await super().receive(message)
        may_begin = monotonic() >= self._begins_at
        if may_begin and self.has_process:
            try:
                steps = await self._prepared_beside(message)
                self._metrics.count(BESIDE, steps)
                return steps
            except (WorkerFailed, msgspec.DecodeError) as error:
                self._done_without(error)
        elif may_begin and message.behind_bytes >= WORTH_BYTES:
            self._begins_at = inf
            self.start_task(self._start)
        steps = await prepared_here(self.system, self._vault, message)
        self._metrics.count(HERE, steps)
        return steps

    async def _start(self) -> None:
        """For the rows that come when it is ready."""
        try:
            await self.start_one()
            self._begins_at = -inf
            self._trouble.ended()
        except WorkerFailed as error:
            self._done_without(error)

    def _done_without(self, error: Exception) -> None:
        self._begins_at = monotonic() + TRY_AGAIN_S
        self._trouble.failed(error)

    async def _prepared_beside(self, message: PrepareRows) -> tuple[PreparedStep, ...]:
        request = request_of(message, self._vault.sealing_keys)
        return steps_of(await self.asked(request, LIMIT_S))


class PreparersInPlace(Workers):
    """Answers as the actor with a process does. For simulations."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (Exception,)

    def __init__(self, vault: Vault) -> None:
        super().__init__()
        self._vault = vault

    async def receive(self, message: Any) -> object:
        if not isinstance(message, PrepareRows):
            return await super().receive(message)
        return await prepared_here(self.system, self._vault, message)


async def prepared_here(
    system: ActorSystem, vault: Vault, message: PrepareRows
) -> tuple[PreparedStep, ...]:
    preparation = Preparation(vault, system.random, message.merchant_id, message.now)
    turns, steps = Turns(system.foreground), []
    for part in preparation.parts(message):
        if part is not None:
            steps.append(part)
        await turns.take()
    return tuple(steps)


def worker_command() -> list[str]:
    """What starts a process: in the one-file program there is no Python beside it."""
    if getattr(sys, "frozen", False):
        return [sys.executable, "prepare-worker"]
    return [sys.executable, "-P", "-m", "actors.core.prepare_worker"]
