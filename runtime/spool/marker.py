"""The durable mark up to which the records of a spool are acknowledged.

Two slots are written in turns, each with its checksum: a write that is torn leaves the other one,
and thereby the mark before. They are overwritten in place, so that a full disk can still be
acknowledged from, and thereby become less full.
"""

import os
import struct
from pathlib import Path
from zlib import crc32

from runtime.spool.disk import Disk

_SEQUENCE = struct.Struct(">Q")
_CHECKSUM = struct.Struct(">I")
SLOT_BYTES = _SEQUENCE.size + _CHECKSUM.size
SLOT_OFFSETS = (0, 4096)
"""In different pages, so that no torn one can spoil both."""


class Marker:
    """The file with the mark. All methods block, and raise `OSError`."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._disk = disk
        existed = path.exists()
        self._descriptor = disk.open(path) if existed else disk.create(path)
        try:
            marks = self._read() if existed else {}
            if not marks:
                blank = bytes(SLOT_OFFSETS[-1] + SLOT_BYTES)
                disk.write(self._descriptor, blank, 0)
                disk.sync(self._descriptor)
        except BaseException:
            self.close()
            raise
        self.acknowledged: int | None = max(marks.values(), default=None)
        """None: there is no mark, or none that can be read."""
        newest = max(marks, key=marks.__getitem__, default=1)
        self._next_slot = 1 - newest

    def _read(self) -> dict[int, int]:
        """The marks that can be read, by slot."""
        marks: dict[int, int] = {}
        for slot, offset in enumerate(SLOT_OFFSETS):
            raw = os.pread(self._descriptor, SLOT_BYTES, offset)
            if len(raw) == SLOT_BYTES and _sealed(raw[: _SEQUENCE.size]) == raw:
                marks[slot] = _SEQUENCE.unpack_from(raw)[0]
        return marks

    def put(self, sequence: int) -> None:
        """Durable on return. When it fails, the mark before is still there."""
        data = _sealed(_SEQUENCE.pack(sequence))
        self._disk.write(self._descriptor, data, SLOT_OFFSETS[self._next_slot])
        self._disk.sync(self._descriptor)
        self.acknowledged = sequence
        self._next_slot = 1 - self._next_slot

    def close(self) -> None:
        os.close(self._descriptor)


def _sealed(sequence: bytes) -> bytes:
    return sequence + _CHECKSUM.pack(crc32(sequence, crc32(b"mark")))
