"""What ends by itself when its time is up, whoever began it: one sleeping task for all of it."""

from collections.abc import Callable, Hashable, Iterator
from math import inf

import attrs
import trio

from runtime.parking import monotonic


@attrs.frozen
class Expiry:
    """`end` neither waits nor raises."""

    at: float
    end: Callable[[], None]


class Expiries:
    """Ends by key, on Trio's clock. There are as many as actors that are suspended or traced."""

    def __init__(self) -> None:
        self._due: dict[Hashable, Expiry] = {}
        self._scope = trio.CancelScope()

    def __iter__(self) -> Iterator[Hashable]:
        """The keys, in the order in which they were put."""
        return iter(tuple(self._due))

    def put(self, key: Hashable, at: float, end: Callable[[], None]) -> None:
        """Call `end` at this time, in place of what the key had before."""
        self._due[key] = Expiry(at, end)
        self._scope.deadline = min(self._scope.deadline, at)

    def remove(self, key: Hashable) -> None:
        """It has ended already."""
        self._due.pop(key, None)

    async def run(self) -> None:
        """Call what is due until cancelled."""
        while True:
            with trio.CancelScope(deadline=self._next()) as self._scope:
                await trio.sleep_forever()
            self._expire(monotonic())

    def _next(self) -> float:
        return min((expiry.at for expiry in self._due.values()), default=inf)

    def _expire(self, now: float) -> None:
        due = [(key, expiry) for key, expiry in self._due.items() if expiry.at <= now]
        for key, expiry in due:
            self._due.pop(key, None)
            expiry.end()
