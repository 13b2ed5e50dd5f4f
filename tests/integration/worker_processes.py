"""Processes that work for the program: those that a test starts, and whether they have ended."""

import pytest
import trio

from runtime.processes import WorkerProcess

PATIENCE_S = 60.0
"""A process has so long to start: the machine may be slow."""


def note_starts(patch: pytest.MonkeyPatch) -> list[int]:
    """The ids of the processes that are started from now on, as they become ready."""
    pids: list[int] = []
    start = WorkerProcess.start

    async def noted(*arguments: object) -> WorkerProcess:
        process = await start(*arguments)  # type: ignore[arg-type]
        pids.append(process.pid)
        return process

    patch.setattr(WorkerProcess, "start", noted)
    return pids


async def ended(pid: int) -> bool:
    """Whether it is gone, or waits only for its parent to look."""
    try:
        stat = await trio.Path(f"/proc/{pid}/stat").read_text()
        return stat.split()[2] == "Z"
    except OSError:
        return True
