"""The other side of `runtime.processes`: a process that answers one request after another."""

import sys
from collections.abc import Callable
from typing import BinaryIO

from runtime.processes import HEADER_BYTES, READY, framed


def answer_for_ever(answer: Callable[[bytes], bytes]) -> None:
    """Answer what comes on the standard input until it ends."""
    incoming, outgoing = sys.stdin.buffer, sys.stdout.buffer
    _say(outgoing, READY)
    while header := incoming.read(HEADER_BYTES):
        _say(outgoing, answer(incoming.read(int.from_bytes(header, "big"))))


def _say(outgoing: BinaryIO, data: bytes) -> None:
    outgoing.write(framed(data))
    outgoing.flush()
