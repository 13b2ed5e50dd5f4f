"""Counts over the last seconds, in buckets, kept as running totals."""

from collections import deque

import attrs


@attrs.define
class Counts:
    """What ended in a part of the window, or in all of it."""

    calls: int = 0
    failures: int = 0
    slow: int = 0


class Window:
    """Counts of the last `window_s`, which forgets in steps of a bucket.

    `now` is on any clock that never goes back.
    """

    __slots__ = ("_bucket_s", "_length", "_numbers", "_parts", "totals")

    def __init__(self, window_s: float, buckets: int) -> None:
        self._bucket_s = window_s / buckets
        self._length = buckets
        self._numbers: deque[int] = deque()
        self._parts: deque[Counts] = deque()
        self.totals = Counts()

    def at(self, now: float) -> Counts:
        """The counts of now's bucket, older ones forgotten. Add there and to `totals`."""
        number = int(now / self._bucket_s)
        numbers, parts = self._numbers, self._parts
        if numbers and numbers[-1] == number:
            return parts[-1]
        while numbers and numbers[0] <= number - self._length:
            self._forget()
        numbers.append(number)
        parts.append(Counts())
        return parts[-1]

    def _forget(self) -> None:
        self._numbers.popleft()
        old, totals = self._parts.popleft(), self.totals
        totals.calls -= old.calls
        totals.failures -= old.failures
        totals.slow -= old.slow

    def clear(self) -> None:
        self._numbers.clear()
        self._parts.clear()
        self.totals = Counts()
