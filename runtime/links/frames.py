"""Frames: what goes over a link, many of them in one message of the transport."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from runtime.links.errors import ProtocolViolation

VERSION: Final = 1
"""Of the protocol. Shards of different versions do not talk to each other."""

FRAMES_MAX: Final = 4096
"""Frames in one message of the transport."""

BATCH_BYTES: Final = 64 * 1024
"""A message of so many bytes is not made longer: it has at most those of one frame more."""


REMAINING_MAX_S: Final = 3600.0
"""The most time that an ask is told to have left."""

BATCH_OVERHEAD_BYTES: Final = 64
"""What a message has beside those: its head, and the credit that goes along."""


class Frame(msgspec.Struct, array_like=True, gc=False):
    """Base of all frames. On the wire, each is an array that begins with its tag."""


class Hello(Frame, tag="hello"):
    """Who speaks, and a number used once. `to` is whom the dialler means to reach."""

    version: int
    shard: str
    incarnation: str
    generation: int
    nonce: bytes
    to: str


class Proof(Frame, tag="proof"):
    """That the secret is known, bound to both hellos of this link and to the side that says so."""

    mac: bytes


class Offer(Frame, tag="offer"):
    """What may be reached (None: everything), and how much at a time: unanswered messages, and
    bytes of a frame."""

    actors: tuple[str, ...] | None
    regions: tuple[str, ...] | None
    window: int
    frame_bytes_max: int


class Ask(Frame, tag="ask"):
    """`number` counts the asks of this side of this link from 1. `key` is that of an entity, None
    where `to` is an actor. `remaining_s` is `REMAINING_MAX_S` at most. `chain` are shard and
    address of everybody who waits for the answer. `retries`: see `RetryLayer.standing`."""

    number: int
    to: str
    key: Any
    message: Any
    remaining_s: float
    trace_id: str | None
    chain: list[tuple[str, str]]
    retries: int


class Tell(Frame, tag="tell"):
    """A message without an answer."""

    to: str
    key: Any
    message: Any
    trace_id: str | None


class Answer(Frame, tag="answer"):
    """`retried`: something below has tried again, so nobody above should."""

    number: int
    value: Any
    retried: bool


class Failure(Frame, tag="failure"):
    """`kind` is that of the error, `unknown` whether the message may have had an effect.

    `more` is the cycle, or an error of the application. `about` is the type of another message
    than the one that was asked, where the error is about that.
    """

    number: int
    kind: str
    unknown: bool
    address: str
    detail: str
    more: Any
    about: str | None
    retried: bool


class Cancel(Frame, tag="cancel"):
    """Nobody waits for the answer to this ask any more."""

    number: int


class Credit(Frame, tag="credit"):
    """How many messages may have been sent over this link, counted from its beginning."""

    total: int


class Ping(Frame, tag="ping"):
    number: int


class Pong(Frame, tag="pong"):
    number: int


class Goodbye(Frame, tag="goodbye"):
    """Nothing new is to come from either side; what is under way is answered."""

    reason: str


AnyFrame = (
    Hello | Proof | Offer | Ask | Tell | Answer | Failure | Cancel | Credit | Ping | Pong | Goodbye
)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[AnyFrame]).decode

encode_frame = _encode


def joined(frames: Iterable[bytes]) -> bytes:
    """One message of the transport, of encoded frames."""
    parts = list(frames)
    return b"".join((b"\xdc", len(parts).to_bytes(2, "big"), *parts))


def frames_of(data: bytes) -> list[AnyFrame]:
    """The frames of a message. Raises `ProtocolViolation`."""
    try:
        frames = _decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ProtocolViolation("unreadable", str(error)[:200]) from error
    if len(frames) > FRAMES_MAX:
        raise ProtocolViolation("unreadable", f"{len(frames)} frames in one message")
    return frames
