"""Ports for what could differ between two runs: clock, randomness, secrets, ids, the processor."""

import random as random_module
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

import attrs
import trio


class Clock(Protocol):
    """The wall clock. Timers and deadlines use Trio's clock instead."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@attrs.define
class VirtualClock:
    """A wall clock that runs with Trio's clock from `start`; for tests and simulations."""

    start: datetime
    _origin: float | None = None

    def now(self) -> datetime:
        if self._origin is None:
            self._origin = trio.current_time()
        return self.start + timedelta(seconds=trio.current_time() - self._origin)


_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_RANDOM_BITS = 80
_TAIL_BITS, _HEAD_BITS = 50, 80
"""The head seldom changes within a millisecond, so its text is kept."""


class Ids:
    """Ids that sort by the time they were made: a prefix and 26 characters (ULID layout:
    48 bits of milliseconds, 80 random bits, Crockford's base 32). Within one process they
    strictly increase, because the random part counts up inside a millisecond.
    """

    def __init__(self, clock: Clock, random: random_module.Random) -> None:
        self._clock = clock
        self._random = random
        self._last = 0
        self._head, self._head_text = -1, ""

    def new(self, prefix: str) -> str:
        """A fresh id such as `tx_01KB…`."""
        millisecond = int(self._clock.now().timestamp() * 1000)
        value = millisecond << _RANDOM_BITS
        if value >> _RANDOM_BITS > self._last >> _RANDOM_BITS:
            value |= self._random.getrandbits(_RANDOM_BITS - 1)
        else:
            value = self._last + 1 + self._random.getrandbits(32)
        self._last = value
        head = value >> _TAIL_BITS
        if head != self._head:
            self._head, self._head_text = head, _encode(head, _HEAD_BITS)
        return f"{prefix}_{self._head_text}{_encode(value, _TAIL_BITS)}"


def _encode(value: int, bits: int) -> str:
    """The lowest `bits` of a value, 10 bits to two characters."""
    shifts = range(bits - 10, -1, -10)
    return "".join([_PAIRS[(value >> shift) & 1023] for shift in shifts])


GIVEN_WAY_S = 0.0001
"""Enough for the system to let another process, or thread, begin where this one was."""

GiveWay = Callable[[], None]
"""Leaves the processor, and the interpreter's lock, to others for a moment. Blocks its thread."""


def give_way() -> None:
    """A real pause, since a thread that only offers its processor keeps it where no other process
    is queued there yet."""
    time.sleep(GIVEN_WAY_S)


def stay() -> None:
    """Where time is virtual nobody else is there."""


@attrs.frozen
class Ports:
    """The ports of one actor system. `secrets` gives what nobody may guess, such as tokens."""

    clock: Clock
    ids: Ids
    random: random_module.Random
    secrets: random_module.Random = attrs.field(factory=random_module.SystemRandom)
    give_way: GiveWay = stay


def system_ports() -> Ports:
    """Ports of a real run. Neither ids nor this randomness are secrets."""
    clock = SystemClock()
    random = random_module.Random(random_module.SystemRandom().getrandbits(256))  # noqa: S311
    return Ports(clock, Ids(clock, random), random, give_way=give_way)


def seeded_random(seed: int | str) -> random_module.Random:
    """A generator whose numbers follow from `seed`, in every process the same."""
    return random_module.Random(seed)  # noqa: S311 - reproducible on purpose


def seeded_ports(seed: int | str, start: datetime, clock: Clock | None = None) -> Ports:
    """Ports whose every answer follows from `seed` and the clock: one that is set to `start` and
    runs with Trio's, unless another is given."""
    clock = clock if clock is not None else VirtualClock(start)
    random = seeded_random(seed)
    return Ports(clock, Ids(clock, random), random, seeded_random(f"secrets of {seed}"))
