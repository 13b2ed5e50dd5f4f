"""How what SQLite has written to its log gets into the file: beside the commits, not within them.

A commit that finds the log long enough would do it itself, and everybody who writes would wait:
measured, 5 to 25 ms for every 1,000 pages, which a large import writes four times a second.
"""

import sqlite3

import structlog
import trio

CHECKPOINT_ROWS = 4_000
"""Rows written since the last time."""

LOG_PAGES_MAX = 16_000
"""A log of 64 MiB is brought into the file by the next commit, whatever that costs. What came after
the last time is all that is left to do; then the log begins anew, which it does not while writes
go on and on."""

log = structlog.get_logger("loyalnest.storage")


class Checkpoints:
    """Of one file. `connection` is for this alone; `writer` is looked at, and not used."""

    def __init__(self, writer: sqlite3.Connection, connection: sqlite3.Connection) -> None:
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
        """Whenever enough was written. A file that cannot take it now is tried again then."""
        while True:
            await self._due.wait()
            self._due = trio.Event()
            async with self._working:
                if self._closed:
                    return
                try:
                    await trio.to_thread.run_sync(self._checkpoint, limiter=self._limiter)
                except sqlite3.Error as error:
                    log.warning("checkpoint_failed", error=str(error))

    def _checkpoint(self) -> None:
        """As far as possible without making anybody wait."""
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    async def close(self) -> None:
        """After the checkpoint under way, if there is one."""
        async with self._working:
            self._closed = True
            self._connection.close()
