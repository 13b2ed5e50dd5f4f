"""Brings what SQLite's write-ahead log holds into the database file, beside the commits.

Left alone, SQLite does that as part of the commit by which the log has a thousand pages, so that
somebody waits for two more syncs and a thousand writes. Here a connection of its own does it, in a
thread of its own, while commits go on. Nothing is less durable by it: a commit is when it is in the
log.
"""

import sqlite3
from collections.abc import Callable

import attrs
import structlog
import trio

from runtime.storage.errors import StorageError
from runtime.trouble import Trouble

EVERY_S = 1.0
"""After the first write since the last time."""

PAGES_MAX = 8_192
"""32 MiB. Once a log has more, the next commit waits until what came while it was worked off is
done as well, which is little: only a log that is worked off altogether begins anew."""

PAGES_LAST_RESORT = 65_536
"""Then SQLite does it within a commit: nobody attends to this store, or the disk is too slow."""

FILE_BYTES_KEPT = 64 * 1024 * 1024
"""A log that was longer is cut to it when it begins anew."""

log = structlog.get_logger("loyalnest.sqlite")


def prepare(writer: sqlite3.Connection) -> None:
    """The writer leaves it to others."""
    writer.execute(f"PRAGMA wal_autocheckpoint = {PAGES_LAST_RESORT}")
    writer.execute(f"PRAGMA journal_size_limit = {FILE_BYTES_KEPT}")


@attrs.define(eq=False)
class Checkpoints:
    """`writing` is held by whoever writes. `closed` is seen before each round."""

    _connection: sqlite3.Connection
    _writing: trio.Lock
    _thread: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1))
    _under_way: trio.Lock = attrs.field(factory=trio.Lock)
    _written: trio.Event = attrs.field(factory=trio.Event)
    _closed: bool = False

    def written(self) -> None:
        """The log is longer now."""
        self._written.set()

    async def run(self) -> None:
        """Go on until cancelled; a round that has begun is finished. What fails is tried again."""
        trouble = Trouble(log, "log_not_worked_off", "log_worked_off_again")
        while True:
            await self._written.wait()
            await trio.sleep(EVERY_S)
            self._written = trio.Event()
            try:
                await self.work_off()
                trouble.ended()
            except StorageError as error:
                self._written.set()
                trouble.failed(error)

    async def work_off(self) -> None:
        """One round. Raises `StorageError`."""
        async with self._under_way:
            if self._closed:
                return
            if await self._run(_checkpoint) > PAGES_MAX:
                async with self._writing:
                    await self._run(_checkpoint)

    async def _run(self, work: Callable[[sqlite3.Connection], int]) -> int:
        return await trio.to_thread.run_sync(work, self._connection, limiter=self._thread)

    async def close(self) -> None:
        """Wait for the round under way. There is none after it."""
        async with self._under_way:
            self._closed = True
        self._connection.close()


def _checkpoint(connection: sqlite3.Connection) -> int:
    """How many pages the log had at the beginning."""
    try:
        pages: int = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
    except sqlite3.Error as error:
        raise StorageError(f"the log cannot be worked off: {error}") from error
    return pages
