"""A program that works on spools, again and again, and dies at every call to the system once.

Each attempt is a forked process with a directory of its own, which tells its parent through a
pipe what was promised. The parent prints a line of JSON for each.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from runtime.spool.disk import Disk
from runtime.spool.port import SpoolLimits
from runtime.spool.segments import SegmentLog

LIMITS = SpoolLimits(segment_bytes=150)
ROUNDS = 12
WAYS = ("before", "half", "after")
CALLS_MAX = 1_000

Tell = Callable[..., None]


class CrashingDisk(Disk):
    """Ends the process at call number `last`: before it, half way, or right after it."""

    def __init__(self, last: int, how: str) -> None:
        self._last = last
        self._how = how
        self._calls = count(1)

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or name == "close":
            return found

        def call(*arguments: Any) -> Any:
            if next(self._calls) != self._last:
                return found(*arguments)
            if self._how == "half" and name == "write":
                descriptor, data, offset = arguments
                found(descriptor, data[: len(data) // 2], offset)
            if self._how == "after":
                found(*arguments)
            return os.kill(os.getpid(), signal.SIGKILL)

        return call


def payload(number: int) -> bytes:
    return f"payload of record {number}".encode()


def work(log: SegmentLog, tell: Tell) -> None:
    """Append two records and acknowledge one, `ROUNDS` times."""
    for _ in range(ROUNDS):
        first = log.append([payload(log.next_sequence), payload(log.next_sequence + 1)])
        tell("appended", first + 1)
        (record,) = log.read(0, 1)
        log.acknowledge(record.sequence)
        tell("acknowledged", record.sequence)
    log.close()
    tell("finished", 1)


def attempt(folder: Path, last: int, how: str) -> dict[str, Any]:
    """What a process that died at a call had promised, the last of each kind."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)

        def tell(what: str, number: int) -> None:
            os.write(writing, f"{what} {number}\n".encode())

        work(SegmentLog(folder, LIMITS, CrashingDisk(last, how)), tell)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        pairs = [line.split() for line in told]
    os.waitpid(child, 0)
    promised = {what: int(number) for what, number in pairs}
    return {"folder": str(folder), "appended": 0, "acknowledged": 0} | promised


def main(folder: Path) -> None:
    for how in WAYS:
        for last in range(1, CALLS_MAX):
            told = attempt(folder / f"{how}-{last}", last, how)
            sys.stdout.write(json.dumps(told) + "\n")
            if "finished" in told:
                break
    for last in range(9, 39, 2):
        told = attempt(folder / "again-and-again", last, WAYS[last % 3])
        sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
