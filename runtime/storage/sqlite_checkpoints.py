"""How what SQLite has written to its log gets into the file: beside the commits, not within them.

A commit that finds the log long enough would do it itself, and everybody who writes would wait:
measured, 5 to 25 ms for every 1,000 pages, which a large import writes four times a second.
"""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import structlog
import trio

from runtime.trouble import Trouble

Subject = TypeVar("Subject")

CHECKPOINT_ROWS = 24_000
"""Rows written since the last time, one or two pages each: seldom, as the syncs of the file and
those of the log wait for each other, and since pages that are written again and again are copied
once; and before the log is as long as it may be."""

LONG_PAGES = 4_000
"""From this length on, 16 MiB, the log is to begin anew."""

LOG_PAGES_MAX = 64_000
"""A log of 256 MiB is brought into the file by the next commit after all: something has kept us
from it."""

LOG_BYTES_KEPT = LOG_PAGES_MAX * 4_096
"""A log that was longer is cut to it when it begins anew. One that may be so long never is: whoever
writes first waits for that, 22 ms where it was measured, and then for the log to grow again."""

AGAIN_S = 1.0
"""After a checkpoint that failed."""

log = structlog.get_logger("loyalnest.storage")


class Checkpoints:
    """Of one file. `connection` is for this alone; `writer` is looked at, and not used.

    The log begins anew with the first write that finds all of it in the file, which never happens
    by itself while writes go on. So, of a long log, what was written during a checkpoint is done
    by a second one, and what was written during that one by a third, for which the writer waits:
    `write_lock` is held for about as long as a single commit takes. Only the one that does all
    there is waits for the disk; so that it has little to wait for, the file is synced before.
    """

    def __init__(
        self, path: Path, writer: sqlite3.Connection, connection: sqlite3.Connection
    ) -> None:
        self.write_lock = trio.Lock()
        # Kept until all connections are closed: closing it would end their locks on the file.
        self._file = os.open(path, os.O_RDONLY)
        self._writer = writer
        self._connection = connection
        self._due = trio.Event()
        self._working = trio.Lock()
        self._limiter = trio.CapacityLimiter(1)
        self._rows = 0
        self._closed = False

    def written(self) -> None:
        """The writer has written, and rests."""
        if self._writer.total_changes - self._rows >= CHECKPOINT_ROWS:
            self._rows = self._writer.total_changes
            self._due.set()

    async def run(self) -> None:
        """Whenever enough was written. What fails is tried again after `AGAIN_S`."""
        trouble = Trouble(log, "checkpoint_failed", "checkpoints_again")
        while True:
            await self._due.wait()
            self._due = trio.Event()
            try:
                await self._work_off()
                trouble.ended()
            except (sqlite3.Error, OSError) as error:
                trouble.failed(error)
                self._due.set()
                await trio.sleep(AGAIN_S)

    async def _work_off(self) -> None:
        if await self._do(_checkpoint, self._connection) >= LONG_PAGES:
            await self._do(_checkpoint, self._connection)
            await self._do(_sync, self._file)
            async with self.write_lock:
                await self._do(_checkpoint, self._connection)

    async def _do(self, work: Callable[[Subject], int], subject: Subject) -> int:
        async with self._working:
            if self._closed:
                return 0
            return await trio.to_thread.run_sync(work, subject, limiter=self._limiter)

    async def close(self) -> None:
        """After what is under way. Whoever closes has the write lock."""
        async with self._working:
            self._closed = True
            self._connection.close()

    def release(self) -> None:
        """After all connections are closed."""
        os.close(self._file)


def _checkpoint(connection: sqlite3.Connection) -> int:
    """As far as possible without waiting for anybody; the pages of the log."""
    _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return int(pages)


def _sync(file: int) -> int:
    os.fsync(file)
    return 0
