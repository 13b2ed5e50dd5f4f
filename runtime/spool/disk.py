"""The calls to the operating system that a spool makes; all of them block."""

import os
from pathlib import Path

OWNER_ONLY = 0o600
DIRECTORY_OWNER_ONLY = 0o700


class Disk:
    """Every call raises `OSError`. In one place, so that a test can make any of them fail."""

    def create(self, path: Path) -> int:
        """An empty file for its owner only, and its directory durable; a descriptor."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, OWNER_ONLY)
        try:
            self.sync_directory(path.parent)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def open(self, path: Path) -> int:
        return os.open(path, os.O_RDWR)

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        """All of it; part of it may be there when it fails."""
        rest = memoryview(data)
        while rest:
            written = os.pwrite(descriptor, rest, offset)
            rest, offset = rest[written:], offset + written

    def sync(self, descriptor: int) -> None:
        os.fsync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)

    def read(self, path: Path, start: int = 0) -> bytes:
        """All of a file, or what lies behind `start`."""
        with path.open("rb") as file:
            file.seek(start)
            return file.read()

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    @staticmethod
    def close(descriptor: int) -> None:
        os.close(descriptor)

    def rename(self, path: Path, other: Path) -> None:
        path.rename(other)

    def make_directory(self, path: Path) -> None:
        """A directory for its owner only, where there is none, durable."""
        path.mkdir(DIRECTORY_OWNER_ONLY, parents=True, exist_ok=True)
        path.chmod(DIRECTORY_OWNER_ONLY)
        self.sync_directory(path.parent)

    def sync_directory(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
