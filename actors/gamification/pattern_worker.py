"""What runs in a process of its own: matching article numbers with regular expressions.

It is started by its path, with the standard library alone, so that it is ready in the time that
Python takes to start. `runtime/processes.py` says how it is spoken to.
"""

import json
import re
import signal
import sys
from typing import Any, BinaryIO, Final

HEADER_BYTES: Final = 4
READY: Final = b"ready"

LIMIT_S: Final = 1.0
"""After which an alarm of the system ends it, should nobody else have done so: whoever started it
may have been killed meanwhile."""


def matches(pattern: str, skus: list[str]) -> list[bool]:
    """Which of them match as a whole. Raises `re.error`, and may take for ever."""
    compiled = re.compile(pattern)
    return [compiled.fullmatch(sku) is not None for sku in skus]


def answer(request: bytes) -> bytes:
    """A list of booleans in JSON, or an object that says what is wrong."""
    asked: dict[str, Any] = json.loads(request)
    try:
        return json.dumps(matches(asked["pattern"], asked["skus"])).encode()
    except (re.error, RecursionError, OverflowError, MemoryError) as error:
        return json.dumps({"error": f"{type(error).__name__}: {error}"[:200]}).encode()


def main() -> None:
    """Answer requests until there are no more."""
    incoming, outgoing = sys.stdin.buffer, sys.stdout.buffer
    say(outgoing, READY)
    while header := incoming.read(HEADER_BYTES):
        request = incoming.read(int.from_bytes(header, "big"))
        signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
        reply = answer(request)
        signal.setitimer(signal.ITIMER_REAL, 0)
        say(outgoing, reply)


def say(outgoing: BinaryIO, data: bytes) -> None:
    outgoing.write(len(data).to_bytes(HEADER_BYTES, "big") + data)
    outgoing.flush()


if __name__ == "__main__":
    main()
