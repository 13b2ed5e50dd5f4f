"""Beats: what a process says to the one that started it, again and again, as long as it turns."""

from typing import Final

import msgspec

BEAT_S: Final = 0.5
"""How often one is sent."""

LINE_BYTES_MAX: Final = 65_536


class Beat(msgspec.Struct, frozen=True):
    """`status` is a word about how the process is; `ready` says whether it does its work.

    `facts` is what others want to know of it, as the addresses where it can be reached.
    """

    status: str
    ready: bool
    facts: dict[str, str] = {}


_DECODER: Final = msgspec.json.Decoder(Beat)


def encoded(beat: Beat) -> bytes:
    """A line."""
    return msgspec.json.encode(beat) + b"\n"


def decoded(line: bytes) -> Beat:
    """Raises `ValueError` for what is no beat."""
    return _DECODER.decode(line)
