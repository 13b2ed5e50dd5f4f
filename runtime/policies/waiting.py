"""A bounded queue of those who wait for room: by priority, and by age within one."""

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from math import inf
from typing import Final, Generic, TypeVar

import attrs

from runtime.parking import monotonic
from runtime.policies.priority import Priority

Waiter = TypeVar("Waiter")

RANKS: Final = {priority: rank for rank, priority in enumerate(Priority)}
"""0 for what goes last."""


@attrs.define(eq=False)
class Place(Generic[Waiter]):
    """Where somebody waits, until when, with work of which `group`."""

    priority: Priority
    group: Hashable
    until: float
    waiter: Waiter


class WaitingLine(Generic[Waiter]):
    """At most `places_max` wait, each for `wait_s`. Does not call anybody; times on Trio's clock.

    It is *standing* when it has not been empty for `standing_s`: then the last to come is the
    next one of its priority, otherwise the first.
    """

    def __init__(self, places_max: int, wait_s: float, standing_s: float) -> None:
        self._places_max = places_max
        self._wait_s = wait_s
        self._standing_s = standing_s
        self._queues: dict[Priority, deque[Place[Waiter]]] = {each: deque() for each in Priority}
        queues = list(self._queues.values())
        self._lower = {each: queues[RANKS[each] + 1 :] for each in Priority}
        self._waiting = 0
        self._since = inf

    def __len__(self) -> int:
        return self._waiting

    @property
    def standing(self) -> bool:
        return monotonic() - self._since >= self._standing_s

    def takes(self, priority: Priority) -> bool:
        """Whether there is a place, or somebody of lower priority in it."""
        return self._waiting < self._places_max or any(self._lower[priority])

    def join(self, priority: Priority, group: Hashable, waiter: Waiter) -> Place[Waiter] | None:
        """Wait at the end. Only where `takes` says so; who had to make room for it is returned."""
        evicted = None
        if self._waiting >= self._places_max:
            lowest = next(each for each in reversed(Priority) if self._queues[each])
            evicted = self._take_first(self._queues[lowest])
        now = monotonic()
        self._queues[priority].append(Place(priority, group, now + self._wait_s, waiter))
        self._waiting += 1
        self._since = min(self._since, now)
        return evicted

    def present(self) -> list[Priority]:
        """Of whom somebody waits, what goes last first."""
        return [priority for priority, queue in self._queues.items() if queue]

    def next(
        self, priority: Priority, may: Callable[[Priority, Hashable], bool]
    ) -> Place[Waiter] | None:
        """Whose turn it is among those who may, out of the line; None if there is nobody."""
        queue, full = self._queues[priority], None
        standing = self.standing
        for place in reversed(queue) if standing else queue:
            if full is not None and place.group in full:
                continue
            if may(priority, place.group):
                _take_out(queue, place, last=standing)
                self._left()
                return place
            if full is None:
                full = set[Hashable]()
            full.add(place.group)
        return None

    def leave(self, waiter: Waiter) -> None:
        """Out of the line, if it is in it."""
        for queue in self._queues.values():
            for place in queue:
                if place.waiter is waiter:
                    queue.remove(place)
                    self._left()
                    return

    def dismiss(self, priority: Priority) -> Iterator[Place[Waiter]]:
        """Everybody of a priority, out of the line."""
        while queue := self._queues[priority]:
            yield self._take_first(queue)

    def expired(self) -> Iterator[Place[Waiter]]:
        """Who has waited long enough, out of the line."""
        if not self._waiting:
            return
        now = monotonic()
        for queue in self._queues.values():
            while queue and queue[0].until <= now:
                yield self._take_first(queue)

    def next_expiry(self) -> float:
        """When the first has waited long enough; `inf` when nobody waits."""
        if not self._waiting:
            return inf
        return min(queue[0].until for queue in self._queues.values() if queue)

    def _take_first(self, queue: deque[Place[Waiter]]) -> Place[Waiter]:
        self._left()
        return queue.popleft()

    def _left(self) -> None:
        self._waiting -= 1
        if not self._waiting:
            self._since = inf


def _take_out(queue: deque[Place[Waiter]], place: Place[Waiter], *, last: bool) -> None:
    """Mostly it is at the end where the search began."""
    if last and queue[-1] is place:
        queue.pop()
    elif queue[0] is place:
        queue.popleft()
    else:
        queue.remove(place)
