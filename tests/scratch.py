"""Where the tests put their files: in memory where there is room, because disks stall.

A test whose file waits a second for the disk fails for the disk's sake. What a process that is
killed leaves behind is the same in memory; benchmarks, which are about disks, use `bench.disk`.
"""

import os
import shutil
import tempfile
from pathlib import Path

IN_MEMORY = Path("/dev/shm")
MEMORY = Path("/proc/meminfo")
ROOM_BYTES = 4 << 30


def keep_files_in_memory() -> None:
    """Let this process and those it starts make their temporary files there."""
    if tempfile.gettempdir() != str(IN_MEMORY) and has_room():
        os.environ["TMPDIR"] = tempfile.tempdir = str(IN_MEMORY)


def has_room() -> bool:
    """Whether files may be written there, `ROOM_BYTES` of them."""
    if not (MEMORY.exists() and os.access(IN_MEMORY, os.W_OK | os.X_OK)):
        return False
    free_bytes = min(shutil.disk_usage(IN_MEMORY).free, _available_bytes())
    return free_bytes >= ROOM_BYTES


def _available_bytes() -> int:
    for line in MEMORY.read_text().splitlines():
        name, _, amount = line.partition(":")
        if name == "MemAvailable":
            return int(amount.split()[0]) * 1024
    return 0
