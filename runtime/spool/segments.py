"""The files of a spool: opening what a crash left, appending, reading, and letting go."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from math import inf
from pathlib import Path

import attrs

from runtime.spool.disk import Disk
from runtime.spool.errors import SpoolLocked
from runtime.spool.framing import Found, frame, records_in
from runtime.spool.marker import Marker
from runtime.spool.port import NO_BOUND_BYTES, Record, SpoolLimits, first_bytes
from runtime.storage.errors import StorageLocked
from runtime.storage.lockfile import LockFile

SUFFIX = ".spool"
DIGITS = 20
DAMAGED_SUFFIX = ".damaged"
MARKER_FILE = "acknowledged"


@attrs.define
class Segment:
    """A file with the records from `first` to `last`; `last` is `first` - 1 while it has none.

    `size` is how much of the file counts. A damaged one is set aside when it is done with,
    and not removed.
    """

    path: Path
    first: int
    last: int
    size: int = 0
    damaged: bool = False


class SegmentLog:
    """The records of one directory. All methods block on the disk, and raise `OSError`; they are
    called one after another, from any thread.

    A record counts when its checksum fits and its sequence is below the first one of the next
    file: what a failed write left behind it is thereby void, because after a failure the same
    sequences are written again to a new file.
    """

    def __init__(self, directory: Path, limits: SpoolLimits, disk: Disk) -> None:
        self._directory = directory
        self._limits = limits
        self._disk = disk
        self._segments: list[Segment] = []
        self._active: int | None = None
        self._cursor = (0, 0)
        self.acknowledged = 0
        self.next_sequence = 1
        self.cut_bytes = 0
        self.lost = 0
        self._set_aside_bytes = 0
        disk.make_directory(directory)
        try:
            self._lock = LockFile(directory / "spool")
        except StorageLocked as error:
            raise SpoolLocked(str(error)) from None
        try:
            self._marker = Marker(directory / MARKER_FILE, disk)
        except BaseException:
            self._lock.release()
            raise
        try:
            self._recover()
        except BaseException:
            self.close()
            raise

    @property
    def bytes_used(self) -> int:
        return self._set_aside_bytes + sum(segment.size for segment in self._segments)

    @property
    def segments(self) -> int:
        return len(self._segments)

    @property
    def records(self) -> int:
        """Not acknowledged yet."""
        return self.next_sequence - 1 - self.acknowledged

    # Opening

    def _recover(self) -> None:
        paths = sorted(self._directory.glob("[0-9]" * DIGITS + SUFFIX))
        firsts = [int(path.stem) for path in paths]
        mark = self._marker.acknowledged
        self.acknowledged = mark if mark is not None else min(firsts, default=1) - 1
        damaged = self._directory.glob(f"*{DAMAGED_SUFFIX}")
        self._set_aside_bytes = sum(path.stat().st_size for path in damaged)
        if firsts:
            self.lost += max(0, firsts[0] - 1 - self.acknowledged)
        for path, first, following in zip(paths, firsts, [*firsts[1:], None], strict=False):
            self._segments.append(self._recovered(path, first, following))
        last = self._segments[-1].last if self._segments else 0
        self.next_sequence = max(last, self.acknowledged) + 1
        if mark is None:
            self._marker.put(self.acknowledged)
        self._remove_finished()

    def _recovered(self, path: Path, first: int, following: int | None) -> Segment:
        """A segment as it is found; what is torn off its end is cut, unless another follows."""
        data = self._disk.read(path)
        segment = Segment(path, first, first - 1)
        for found in _counting(data, first, following):
            self._miss(segment, found.sequence)
            segment.last, segment.size = found.sequence, found.end
        if following is not None:
            self._miss(segment, following)
        elif segment.size < len(data):
            self.cut_bytes += len(data) - segment.size
            self._cut(path, segment.size)
        return segment

    def _miss(self, segment: Segment, sequence: int) -> None:
        """Count what is missing before `sequence`, if anybody still waits for it."""
        missing = sequence - 1 - max(segment.last, self.acknowledged)
        if missing > 0:
            self.lost += missing
            segment.damaged = True

    def _cut(self, path: Path, size: int) -> None:
        descriptor = self._disk.open(path)
        try:
            self._disk.truncate(descriptor, size)
            self._disk.sync(descriptor)
        finally:
            Disk.close(descriptor)

    # Appending

    def append(self, payloads: Sequence[bytes]) -> int:
        """Write records; durable on return. The sequence of the first one."""
        first = self.next_sequence
        data = b"".join(frame(first + at, payload) for at, payload in enumerate(payloads))
        segment, descriptor = self._writable()
        try:
            self._disk.write(descriptor, data, segment.size)
            self._disk.sync(descriptor)
        except OSError:
            self._abandon(segment, descriptor)
            raise
        segment.size += len(data)
        self.next_sequence += len(payloads)
        segment.last = self.next_sequence - 1
        return first

    def _writable(self) -> tuple[Segment, int]:
        if self._active is not None and self._segments[-1].size < self._limits.segment_bytes:
            return self._segments[-1], self._active
        self._seal()
        first = self.next_sequence
        path = self._directory / f"{first:0{DIGITS}}{SUFFIX}"
        self._active = self._disk.create(path)
        self._segments = [segment for segment in self._segments if segment.path != path]
        self._segments.append(Segment(path, first, first - 1))
        return self._segments[-1], self._active

    def _seal(self) -> None:
        if self._active is not None:
            Disk.close(self._active)
            self._active = None

    def _abandon(self, segment: Segment, descriptor: int) -> None:
        """Take back what a failed write left, and write no more behind it: after a failed sync,
        nobody knows what the next one would vouch for."""
        with suppress(OSError):
            self._disk.truncate(descriptor, segment.size)
            self._disk.sync(descriptor)
        self._seal()

    # Reading

    def read(self, after: int, limit: int, bytes_max: int = NO_BOUND_BYTES) -> list[Record]:
        """Up to `limit` records behind `after` and behind what is acknowledged, of about
        `bytes_max` together."""
        after = max(after, self.acknowledged)
        following = (
            found
            for segment in self._segments
            if segment.last > after
            for found in self._found_in(segment, after)
        )
        records = list(first_bytes(islice(following, limit), bytes_max))
        if records:
            self._cursor = (records[-1].sequence, records[-1].end)
        return [Record(found.sequence, found.payload) for found in records]

    def _found_in(self, segment: Segment, after: int) -> Iterator[Found]:
        """The last place read is kept, so that reading on need not begin at the file's start."""
        sequence, offset = self._cursor
        start = offset if sequence == after and segment.first <= after else 0
        data = self._disk.read(segment.path, start)[: segment.size - start]
        for found in _counting(data, max(segment.first, after + 1), segment.last + 1):
            yield found._replace(start=start + found.start, end=start + found.end)

    # Letting go

    def acknowledge(self, through: int) -> None:
        """Durable on return; files that are done with are gone, or go next time."""
        through = min(through, self.next_sequence - 1)
        if through <= self.acknowledged:
            return
        self._marker.put(through)
        self.acknowledged = through
        self._remove_finished()

    def _remove_finished(self) -> None:
        """What cannot be removed now is tried again with the next acknowledgement."""
        with suppress(OSError):
            while self._segments and self._segments[0].last <= self.acknowledged:
                if len(self._segments) == 1:
                    self._seal()
                self._let_go(self._segments[0])
                del self._segments[0]

    def _let_go(self, segment: Segment) -> None:
        if segment.damaged:
            self._disk.rename(segment.path, segment.path.with_suffix(DAMAGED_SUFFIX))
            self._set_aside_bytes += segment.size
        else:
            self._disk.remove(segment.path)

    def close(self) -> None:
        self._seal()
        self._marker.close()
        self._lock.release()


def _counting(data: bytes, first: int, end: int | None) -> Iterator[Found]:
    """The records with sequences from `first` up to `end`, none before an earlier one."""
    below = end if end is not None else inf
    for found in records_in(data):
        if first <= found.sequence < below:
            first = found.sequence + 1
            yield found
