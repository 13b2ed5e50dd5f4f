"""The buffer in memory: bounded, in the order of arrival, and unimportant events give way first."""

from collections import deque
from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

from actors.event_tracking.messages import Importance, Parcel


class Held(NamedTuple):
    """A parcel, and its place in the order of arrival."""

    place: int
    parcel: Parcel


PARCEL_COST = 200
"""What a parcel takes beside its bytes, about."""


class Ring:
    """Parcels that are not on the disk yet. Those that are taken stay counted until they are done
    with, so that a crash of who took them loses nothing."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._lines: dict[Importance, deque[Held]] = {each: deque() for each in Importance}
        self._taken: list[Held] = []
        self._places = count()
        self.bytes = 0

    def __len__(self) -> int:
        """Parcels that nobody has taken."""
        return sum(map(len, self._lines.values()))

    def offer(self, parcel: Parcel) -> Sequence[Parcel]:
        """Put a parcel in. What had to give way for it: less important ones, the latest first; or,
        where those are not enough, the parcel itself and nothing else."""
        size = _size(parcel)
        if self.bytes + size <= self._bytes_max:
            self._put(parcel, size)
            return ()
        lesser = sum(
            _size(held.parcel)
            for importance, line in self._lines.items()
            if importance < parcel.importance
            for held in line
        )
        if self.bytes + size - lesser > self._bytes_max:
            return (parcel,)
        gone = self._make_room(self.bytes + size - self._bytes_max)
        self._put(parcel, size)
        return gone

    def _make_room(self, wanted: int) -> list[Parcel]:
        gone: list[Parcel] = []
        for importance in Importance:
            line = self._lines[importance]
            while wanted > 0 and line:
                parcel = line.pop().parcel
                wanted -= _size(parcel)
                self.bytes -= _size(parcel)
                gone.append(parcel)
        return gone

    def _put(self, parcel: Parcel, size: int) -> None:
        self._lines[parcel.importance].append(Held(next(self._places), parcel))
        self.bytes += size

    def take(self, bytes_max: int, least: Importance = Importance.LOW) -> list[Parcel]:
        """The oldest parcels of this importance and more, of about so many bytes together.

        They are `finish`ed or `put_back` by who takes them, before the next are taken.
        """
        lines = [line for importance, line in self._lines.items() if importance >= least]
        size = 0
        while size < bytes_max:
            line = min(filter(None, lines), key=_place, default=None)
            if line is None:
                break
            held = line.popleft()
            self._taken.append(held)
            size += _size(held.parcel)
        return [held.parcel for held in self._taken]

    def finish(self) -> None:
        """What was taken is somewhere else now."""
        self.bytes -= sum(_size(held.parcel) for held in self._taken)
        self._taken.clear()

    def put_back(self) -> None:
        """What was taken takes its place again."""
        for held in reversed(self._taken):
            self._lines[held.parcel.importance].appendleft(held)
        self._taken.clear()


def _place(line: deque[Held]) -> int:
    return line[0].place


def _size(parcel: Parcel) -> int:
    return len(parcel.rows) + PARCEL_COST
