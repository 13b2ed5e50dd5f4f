"""The last known flags on the local disk, for a start at which no store answers."""

from pathlib import Path
from typing import Protocol

import trio

from runtime.spool.disk import OWNER_ONLY


class FlagFile(Protocol):
    """Keeps one text. Both raise `OSError`; cancelled, a writing has happened or not."""

    async def read(self) -> bytes | None:
        """None where there is none."""

    async def write(self, data: bytes) -> None:
        """All of it, or what was there before."""


class FileOnDisk:
    """Written beside it and renamed, so that a crash leaves the old text or the new one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self) -> bytes | None:
        return await trio.to_thread.run_sync(self._read)

    async def write(self, data: bytes) -> None:
        await trio.to_thread.run_sync(self._write, data)

    def _read(self) -> bytes | None:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None

    def _write(self, data: bytes) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        temporary.write_bytes(data)
        temporary.chmod(OWNER_ONLY)
        temporary.replace(self._path)


class FileInMemory:
    """The same for simulations and tests; it outlives the processes that use it."""

    def __init__(self) -> None:
        self.data: bytes | None = None
        self.broken = False

    async def read(self) -> bytes | None:
        await trio.lowlevel.checkpoint()
        self._check()
        return self.data

    async def write(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self._check()
        self.data = data

    def _check(self) -> None:
        if self.broken:
            raise OSError("the disk is broken")
