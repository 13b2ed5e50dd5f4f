"""The spool port: a queue of records on the local disk that survives the process."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

import attrs

from runtime.spool.errors import SpoolFull
from runtime.spool.framing import FRAME_BYTES

KIB = 1024
MIB = 1024 * KIB


NO_BOUND_BYTES = 2**62


class Record(NamedTuple):
    """Sequences count up from 1 and are never used again."""

    sequence: int
    payload: bytes


class _WithPayload(Protocol):
    @property
    def payload(self) -> bytes: ...


Some = TypeVar("Some", bound=_WithPayload)


def first_bytes(records: Iterable[Some], bytes_max: int) -> Iterator[Some]:
    """Records up to so many bytes of payload, and the first one in any case."""
    total = 0
    for number, record in enumerate(records):
        total += len(record.payload)
        if number and total > bytes_max:
            return
        yield record


@attrs.frozen(kw_only=True)
class SpoolLimits:
    """`bytes_max` bounds what lies on the disk, `records_max` what is not acknowledged yet.

    A segment is a file; a new one is begun when the last one has `segment_bytes`. A file goes
    when all of it is acknowledged, so the disk is used by up to one segment more than needed.
    """

    bytes_max: int = 256 * MIB
    records_max: int = 100_000
    record_bytes_max: int = 64 * KIB
    segment_bytes: int = 4 * MIB

    def check(self, payloads: Sequence[bytes], records: int, bytes_used: int) -> int:
        """The bytes that `payloads` take on the disk. Raises `SpoolFull` when they do not fit
        beside `records` and `bytes_used`."""
        if any(len(payload) > self.record_bytes_max for payload in payloads):
            raise SpoolFull(f"a record may have at most {self.record_bytes_max} bytes")
        if records + len(payloads) > self.records_max:
            raise SpoolFull(f"the spool holds {records} records of at most {self.records_max}")
        size = sum(map(len, payloads)) + FRAME_BYTES * len(payloads)
        if bytes_used + size > self.bytes_max:
            raise SpoolFull(f"the spool uses {bytes_used} bytes of at most {self.bytes_max}")
        return size


@attrs.frozen(kw_only=True)
class SpoolStatistics:
    """`records` and `bytes` are there now; `acknowledged` is a sequence, and the rest counts up
    from the opening on.

    `syncs` are writes that were made durable, `refused_full` and `refused_failed` count records.
    `cut_bytes` is the torn end that the opening cut off, `lost` the records that were damaged
    or missing then.
    """

    records: int = 0
    bytes: int = 0
    segments: int = 0
    acknowledged: int = 0
    appended: int = 0
    syncs: int = 0
    refused_full: int = 0
    refused_failed: int = 0
    cut_bytes: int = 0
    lost: int = 0


class Spool(Protocol):
    """Bytes in, bytes out, in order, at least once.

    Every method but `statistics` is a checkpoint, and what it has begun on the disk is finished
    before a cancellation is raised.
    """

    async def append(self, payloads: Sequence[bytes]) -> range:
        """Write records, all or none of them; durable on return. Their sequences.

        Appends that arrive while one is written share the next write. Raises `SpoolFull` or
        `SpoolFailed`. When cancelled before its turn, nothing was written.
        """

    async def read(self, after: int, limit: int, bytes_max: int = NO_BOUND_BYTES) -> list[Record]:
        """Up to `limit` records behind the sequence `after` that are not acknowledged, in order.

        Fewer where their payloads have more than `bytes_max` together, but for a first one that
        has so alone. Raises `SpoolFailed`.
        """

    async def acknowledge(self, through: int) -> None:
        """Records up to and with this sequence are done with; durable on return.

        Less than what is acknowledged already has no effect. Raises `SpoolFailed`; the records
        are then read again, now or by the next who opens the spool.
        """

    def statistics(self) -> SpoolStatistics: ...

    async def close(self) -> None:
        """Let go of the files, after what is under way. Idempotent; nothing is lost by it."""
