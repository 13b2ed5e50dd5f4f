"""Secrets that are replaced while they are in use: the old value counts until the new one works."""

from __future__ import annotations

import trio

KEPT_MAX = 3
"""Values that are tried. Of more replacements in a row, the oldest are forgotten."""


class RotatingSecret:
    """A secret, such as a URL with a password, and those that it replaced a moment ago.

    A new value may reach this program before the server that it is for, or after it. So whoever
    logs in tries `values()` one after another, and reports what came of it.
    """

    def __init__(self, value: str) -> None:
        self._values = [value]
        self._works: str | None = None
        self._doubted = trio.Event()

    @classmethod
    def of(cls, secret: str | RotatingSecret) -> RotatingSecret:
        """The secret itself, or one of a value that is never replaced."""
        return secret if isinstance(secret, RotatingSecret) else cls(secret)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._values)} values)"

    @property
    def newest(self) -> str:
        return self._values[0]

    def replace(self, value: str) -> bool:
        """Take a value as the newest; says whether it was another one before."""
        if value == self.newest:
            return False
        self._values = [value, *(old for old in self._values if old != value)][:KEPT_MAX]
        self._works = None
        return True

    def values(self) -> tuple[str, ...]:
        """What to try: the value that worked last, then the others, the newest first."""
        if self._works is None:
            return tuple(self._values)
        return (self._works, *(value for value in self._values if value != self._works))

    def worked(self, value: str) -> None:
        """A value was accepted. Once it is the newest, the others are forgotten."""
        if value in self._values:
            self._works = value
        if value == self.newest:
            del self._values[1:]

    def refused(self) -> None:
        """None of the values was accepted: whoever knows where they come from is to look again."""
        self._doubted.set()

    async def doubted(self) -> None:
        """Wait until all values have been refused, since the last time that this was waited for."""
        await self._doubted.wait()
        self._doubted = trio.Event()
