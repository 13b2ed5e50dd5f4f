"""How records lie in a file: each with its length, its sequence and a checksum over all of it.

A record is recognised by its checksum alone, so that a torn end, a flipped bit and what a failed
write left behind are all the same to a reader: bytes that are no record, to be passed over.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

MAGIC = b"\xf5rc1"
"""Begins a record. The first byte is none of UTF-8, so that text never looks like one."""

_FIELDS = struct.Struct(">IQ")
_CHECKSUM = struct.Struct(">I")
FRAME_BYTES = len(MAGIC) + _FIELDS.size + _CHECKSUM.size
"""What a record takes beside its payload."""


class Found(NamedTuple):
    """A record in a file, from `start` up to `end`."""

    sequence: int
    payload: bytes
    start: int
    end: int


def frame(sequence: int, payload: bytes) -> bytes:
    """A record as it is written."""
    fields = _FIELDS.pack(len(payload), sequence)
    checksum = _CHECKSUM.pack(crc32(payload, crc32(fields)))
    return b"".join((MAGIC, fields, checksum, payload))


def records_in(data: bytes, start: int = 0) -> Iterator[Found]:
    """The whole records from `start` on, whatever lies between them."""
    while (start := data.find(MAGIC, start)) >= 0:
        found = _record_at(data, start)
        if found is not None:
            yield found
        start = found.end if found is not None else start + 1


def _record_at(data: bytes, start: int) -> Found | None:
    body = start + FRAME_BYTES
    if body > len(data):
        return None
    fields = data[start + len(MAGIC) : body - _CHECKSUM.size]
    length, sequence = _FIELDS.unpack(fields)
    if body + length > len(data):
        return None
    payload = data[body : body + length]
    (checksum,) = _CHECKSUM.unpack_from(data, body - _CHECKSUM.size)
    if crc32(payload, crc32(fields)) != checksum:
        return None
    return Found(sequence, payload, start, body + length)
