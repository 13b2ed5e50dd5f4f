"""The lock that keeps a second process away from an embedded database."""

import fcntl
import os
from pathlib import Path

import msgspec

from runtime.storage.errors import StorageLocked

OWNER_ONLY = 0o600
MAX_NOTE_BYTES = 4096


class _Note(msgspec.Struct):
    """What the owner of the lock tells the others."""

    pid: int
    address: str | None = None


class LockFile:
    """`<database>.lock`, locked from creation until `release` or the end of the process.

    Raises `StorageLocked` when another process has it, and `OSError` when the file cannot be
    had. Its content is a note and may be stale; only the lock counts.
    """

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".lock")
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, OWNER_ONLY)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note = self._read()
            os.close(self._descriptor)
            raise StorageLocked(
                str(database), note.pid if note else None, note.address if note else None
            ) from None
        except BaseException:
            os.close(self._descriptor)
            raise
        self._write(None)

    def announce(self, address: str | None) -> None:
        """Note where the owner serves."""
        self._write(address)

    def release(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)

    def _write(self, address: str | None) -> None:
        note = msgspec.json.encode(_Note(os.getpid(), address))
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, note, 0)

    def _read(self) -> _Note | None:
        try:
            raw = os.pread(self._descriptor, MAX_NOTE_BYTES, 0)
            return msgspec.json.decode(raw, type=_Note)
        except (OSError, msgspec.MsgspecError):
            return None
