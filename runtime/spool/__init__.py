"""A spool: a durable queue of records on the local disk, for when nothing else can be reached."""

from runtime.spool.errors import SpoolError, SpoolFailed, SpoolFull, SpoolLocked
from runtime.spool.file import FileSpool
from runtime.spool.memory import MemoryDisk, MemorySpool
from runtime.spool.port import Record, Spool, SpoolLimits, SpoolStatistics

__all__ = [
    "FileSpool",
    "MemoryDisk",
    "MemorySpool",
    "Record",
    "Spool",
    "SpoolError",
    "SpoolFailed",
    "SpoolFull",
    "SpoolLimits",
    "SpoolLocked",
    "SpoolStatistics",
]
