"""The spool in memory: the twin for virtual time, where threads have no place."""

from collections.abc import Sequence

import attrs
import trio

from runtime.spool.errors import SpoolFailed, SpoolFull, SpoolLocked
from runtime.spool.framing import FRAME_BYTES
from runtime.spool.port import (
    NO_BOUND_BYTES,
    Record,
    SpoolLimits,
    SpoolStatistics,
    first_bytes,
)


@attrs.define(eq=False)
class MemoryDisk:
    """What outlives the spools that are opened on it. While `broken`, every write fails."""

    records: list[Record] = attrs.field(factory=list)
    acknowledged: int = 0
    next_sequence: int = 1
    broken: bool = False
    in_use: bool = False


class MemorySpool:
    """See `Spool`. Nothing is durable but the `MemoryDisk`."""

    def __init__(self, disk: MemoryDisk, limits: SpoolLimits) -> None:
        self._disk = disk
        self._limits = limits
        self._closed = False
        self._counts = SpoolStatistics()

    @classmethod
    async def open(cls, disk: MemoryDisk, limits: SpoolLimits | None = None) -> "MemorySpool":
        """Raises `SpoolLocked` while another one is open on the disk, `SpoolFailed` if broken."""
        await trio.lowlevel.checkpoint()
        if disk.in_use:
            raise SpoolLocked("the spool is in use")
        _check(disk)
        disk.in_use = True
        return cls(disk, limits if limits is not None else SpoolLimits())

    async def append(self, payloads: Sequence[bytes]) -> range:
        """See `Spool`."""
        await trio.lowlevel.checkpoint()
        self._check_open()
        disk = self._disk
        try:
            self._limits.check(payloads, len(disk.records), self._bytes)
            _check(disk)
        except SpoolFull:
            self._count(refused_full=len(payloads))
            raise
        except SpoolFailed:
            self._count(refused_failed=len(payloads))
            raise
        sequences = range(disk.next_sequence, disk.next_sequence + len(payloads))
        disk.records += map(Record, sequences, payloads)
        disk.next_sequence = sequences.stop
        self._count(appended=len(payloads), syncs=1)
        return sequences

    async def read(self, after: int, limit: int, bytes_max: int = NO_BOUND_BYTES) -> list[Record]:
        """See `Spool`."""
        await trio.lowlevel.checkpoint()
        self._check_open()
        records = [record for record in self._disk.records if record.sequence > after]
        return list(first_bytes(records[:limit], bytes_max))

    async def acknowledge(self, through: int) -> None:
        """See `Spool`."""
        await trio.lowlevel.checkpoint()
        self._check_open()
        disk = self._disk
        _check(disk)
        disk.acknowledged = max(disk.acknowledged, min(through, disk.next_sequence - 1))
        disk.records = [r for r in disk.records if r.sequence > disk.acknowledged]

    def _check_open(self) -> None:
        if self._closed:
            raise SpoolFailed("the spool is closed")

    @property
    def _bytes(self) -> int:
        return sum(len(record.payload) + FRAME_BYTES for record in self._disk.records)

    def _count(self, **more: int) -> None:
        added = {name: getattr(self._counts, name) + count for name, count in more.items()}
        self._counts = attrs.evolve(self._counts, **added)

    def statistics(self) -> SpoolStatistics:
        disk = self._disk
        return attrs.evolve(
            self._counts,
            records=len(disk.records),
            bytes=self._bytes,
            segments=1 if disk.records else 0,
            acknowledged=disk.acknowledged,
        )

    async def close(self) -> None:
        """See `Spool`."""
        if not self._closed:
            self._closed = True
            self._disk.in_use = False
        await trio.lowlevel.checkpoint()


def _check(disk: MemoryDisk) -> None:
    if disk.broken:
        raise SpoolFailed("the disk is broken")
