"""The spool in files of one directory."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import attrs
import trio

from runtime.spool.disk import Disk
from runtime.spool.errors import SpoolError, SpoolFailed, SpoolFull
from runtime.spool.port import MIB, NO_BOUND_BYTES, Record, SpoolLimits, SpoolStatistics
from runtime.spool.segments import SegmentLog

Result = TypeVar("Result")

GROUP_BYTES = 1 * MIB
"""What one write takes of those that wait, unless the first alone is more."""


@attrs.define(eq=False)
class _Waiting:
    """An append on its way: `sequences` or `error` is there when it is `done`."""

    payloads: Sequence[bytes]
    size: int
    taken: bool = False
    sequences: range | None = None
    error: SpoolError | None = None
    done: trio.Event = attrs.field(factory=trio.Event)


class FileSpool:
    """See `Spool`. The disk is worked on in threads, by one task at a time.

    Group commit: an append waits for the one under way, and then writes, with one sync, all
    that have come meanwhile.
    """

    def __init__(self, log: SegmentLog, limits: SpoolLimits) -> None:
        self._log = log
        self._limits = limits
        self._working = trio.Lock()
        self._waiting: list[_Waiting] = []
        self._closed = False
        self._counts = SpoolStatistics()

    @classmethod
    async def open(
        cls, directory: Path, limits: SpoolLimits | None = None, disk: Disk | None = None
    ) -> "FileSpool":
        """Open the spool in `directory`, which is made where there is none.

        Raises `SpoolLocked` and `SpoolFailed`. Not cancelled half way.
        """
        limits = limits if limits is not None else SpoolLimits()
        disk = disk if disk is not None else Disk()
        try:
            log = await trio.to_thread.run_sync(SegmentLog, directory, limits, disk)
        except OSError as error:
            raise SpoolFailed(f"{directory}: {error.strerror or error}") from error
        return cls(log, limits)

    async def append(self, payloads: Sequence[bytes]) -> range:
        """See `Spool`."""
        waiting = self._admitted(payloads)
        self._waiting.append(waiting)
        try:
            async with self._working:
                if not waiting.taken:
                    await self._write_group()
        except trio.Cancelled:
            if not waiting.taken:
                self._waiting.remove(waiting)
            else:
                with trio.CancelScope(shield=True):
                    await waiting.done.wait()
            raise
        if waiting.sequences is None:
            raise waiting.error or SpoolFailed("the write was interrupted")
        return waiting.sequences

    def _admitted(self, payloads: Sequence[bytes]) -> _Waiting:
        self._check_open()
        log, waiting = self._log, self._waiting
        records = log.records + sum(len(other.payloads) for other in waiting)
        bytes_used = log.bytes_used + sum(other.size for other in waiting)
        try:
            return _Waiting(payloads, self._limits.check(payloads, records, bytes_used))
        except SpoolFull:
            self._count(refused_full=len(payloads))
            raise

    async def _write_group(self) -> None:
        group = self._take_group()
        payloads = [payload for waiting in group for payload in waiting.payloads]
        try:
            first = await self._work(self._log.append, payloads)
        except SpoolError as error:
            self._count(refused_failed=len(payloads))
            for waiting in group:
                waiting.error = error
        else:
            self._count(appended=len(payloads), syncs=1)
            for waiting in group:
                waiting.sequences = range(first, first + len(waiting.payloads))
                first = waiting.sequences.stop
        finally:
            for waiting in group:
                waiting.done.set()

    def _take_group(self) -> list[_Waiting]:
        """The next to be written, in the order of their arrival."""
        group: list[_Waiting] = []
        size = 0
        while self._waiting and (not group or size + self._waiting[0].size <= GROUP_BYTES):
            waiting = self._waiting.pop(0)
            waiting.taken = True
            size += waiting.size
            group.append(waiting)
        return group

    async def read(self, after: int, limit: int, bytes_max: int = NO_BOUND_BYTES) -> list[Record]:
        """See `Spool`."""
        async with self._working:
            return await self._work(self._log.read, after, limit, bytes_max)

    async def acknowledge(self, through: int) -> None:
        """See `Spool`."""
        async with self._working:
            await self._work(self._log.acknowledge, through)

    async def _work(self, function: Callable[..., Result], *arguments: object) -> Result:
        self._check_open()
        with trio.CancelScope(shield=True):
            try:
                result = await trio.to_thread.run_sync(function, *arguments)
            except OSError as error:
                raise SpoolFailed(error.strerror or str(error)) from error
        return result

    def _check_open(self) -> None:
        if self._closed:
            raise SpoolFailed("the spool is closed")

    def _count(self, **more: int) -> None:
        counts = self._counts
        added = {name: getattr(counts, name) + count for name, count in more.items()}
        self._counts = attrs.evolve(counts, **added)

    def statistics(self) -> SpoolStatistics:
        log = self._log
        return attrs.evolve(
            self._counts,
            records=log.records,
            bytes=log.bytes_used,
            segments=log.segments,
            acknowledged=log.acknowledged,
            cut_bytes=log.cut_bytes,
            lost=log.lost,
        )

    async def close(self) -> None:
        """See `Spool`. Not cancelled half way."""
        with trio.CancelScope(shield=True):
            async with self._working:
                if not self._closed:
                    self._closed = True
                    self._log.close()
