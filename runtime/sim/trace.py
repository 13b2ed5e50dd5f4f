"""The trace: everything that happened in a simulation, as a digest and its last lines."""

from collections import Counter, deque
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from hashlib import blake2b
from marshal import dumps
from math import inf
from typing import Any, NoReturn

import structlog
import trio

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
        self.latest: deque[Line] = deque(maxlen=kept)
        self.lines = 0
        self._until = inf
        self.logged: Counter[str] = Counter()

    def note(self, what: str, *fields: Field) -> None:
        line = (trio.current_time(), what, *fields)
        if self.lines < self._until:
            self.latest.append(line)
        self._chunk.append(line)
        self.lines += 1
        if len(self._chunk) == CHUNK:
            self._hash()

    def found(self, text: str) -> None:
        """Something is wrong: the lines around the first of these are those that are kept."""
        self.note("FOUND", text)
        self._until = min(self._until, self.lines + KEPT_AFTER)

    def _hash(self) -> None:
        self._digest.update(dumps(self._chunk, PLAIN))
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
