"""The trace: everything that happened in a simulation, as a digest and its last lines."""

from collections import Counter, deque
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from marshal import dumps
from typing import Any, NoReturn

import structlog

from runtime.parking import monotonic

KEPT = 400
"""Lines kept for a report, the last ones; all of them are in the digest."""

KEPT_AFTER = 20
"""Of them so many after the first that something was found."""

CHUNK = 256
"""Lines hashed together."""

PLAIN = 2
"""The format of what is hashed: in later ones, bytes depend on where else an object is used."""

Field = str | int | float | None
Line = tuple[Field, ...]
"""When, what, and its fields."""


class Trace:
    """Takes down what happens, at the virtual time at which it does.

    Two runs are the same when their digests are. Fields say who and what in plain values that
    are the same in every process: no objects, no addresses in memory. `logged` counts what the
    program logged, by the name of the event.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._digest = blake2b(digest_size=16)
        self._chunk: list[Line] = []
        self._hashed = 0
        self._kept: deque[Line] = deque(maxlen=kept)
        self._until: int | None = None
        self.logged: Counter[str] = Counter()

    @property
    def lines(self) -> int:
        """So many so far."""
        return self._hashed + len(self._chunk)

    @property
    def latest(self) -> Sequence[Line]:
        """The last lines, or those around the first that something was found in."""
        kept = self._kept.copy()
        kept.extend(self._before_end())
        return kept

    def note(self, what: str, *fields: Field) -> None:
        self._chunk.append((monotonic(), what, *fields))
        if len(self._chunk) == CHUNK:
            self._hash()

    def found(self, text: str) -> None:
        """Something is wrong: the lines around the first of these are those that are kept."""
        self.note("FOUND", text)
        if self._until is None:
            self._until = self.lines + KEPT_AFTER

    def _before_end(self) -> list[Line]:
        """What is kept of those that are not hashed yet."""
        if self._until is None:
            return self._chunk
        return self._chunk[: max(0, self._until - self._hashed)]

    def _hash(self) -> None:
        self._digest.update(dumps(self._chunk, PLAIN))
        self._kept.extend(self._before_end())
        self._hashed += len(self._chunk)
        self._chunk.clear()

    @property
    def digest(self) -> str:
        """Of all lines so far."""
        if not self._chunk:
            return self._digest.hexdigest()
        whole = self._digest.copy()
        whole.update(dumps(self._chunk, PLAIN))
        return whole.hexdigest()

    def text(self, last: int = KEPT) -> list[str]:
        """The last lines, for reading."""
        return [
            f"{at:12.6f}  {what:<10} {' '.join(map(str, fields))}".rstrip()
            for at, what, *fields in list(self.latest)[-last:]
        ]


@contextmanager
def logs_into(trace: Trace) -> Iterator[None]:
    """While the block runs, what the program logs goes into the trace and nowhere else."""

    def take(_logger: Any, level: str, event: MutableMapping[str, Any]) -> NoReturn:
        text = str(event.get("event", ""))
        trace.logged[text] += 1
        trace.note("log", level, text)
        raise structlog.DropEvent

    processors = structlog.get_config()["processors"]
    before = list(processors)
    processors[:] = [take]
    structlog.configure(processors=processors)
    try:
        yield
    finally:
        processors[:] = before
        structlog.configure(processors=processors)
