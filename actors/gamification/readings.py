"""What a customer did, day by day, as the metrics read it: sums, peaks, and runs of days.

Each is made once from the facts, and then answers for any span of days in a few microseconds, so
that a hundred rules cost little more than one.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from itertools import accumulate, groupby
from operator import itemgetter
from typing import Protocol

import attrs

Daily = Iterable[tuple[int, int]]
"""Days, and an amount on each; in any order, several of a day."""

Together = Callable[[Iterable[int]], int]

_day, _amount = itemgetter(0), itemgetter(1)


class Reading(Protocol):
    """A metric of one customer."""

    @property
    def days(self) -> list[int]:
        """The days on which there is something, in order."""

    def between(self, first: int, last: int) -> int:
        """Its value over these days, both included."""

    def plus(self, day: int, amount: int) -> "Reading | None":
        """With an amount on the last day or a later one; None for an earlier day."""


@attrs.frozen
class Sums:
    """Adds up. `sums[i]` is what came before the day `days[i]`."""

    days: list[int]
    sums: list[int]

    @staticmethod
    def of(daily: Daily) -> "Sums":
        days, amounts = _by_day(daily, sum)
        return Sums(days, list(accumulate(amounts, initial=0)))

    def between(self, first: int, last: int) -> int:
        start, end = bisect_left(self.days, first), bisect_right(self.days, last)
        return self.sums[end] - self.sums[start]

    def plus(self, day: int, amount: int) -> "Sums | None":
        if not self.days or day > self.days[-1]:
            return Sums([*self.days, day], [*self.sums, self.sums[-1] + amount])
        if day == self.days[-1]:
            return Sums(self.days, [*self.sums[:-1], self.sums[-1] + amount])
        return None

    def latest(self, first: int, last: int) -> int | None:
        """The last day in the span."""
        place = bisect_right(self.days, last) - 1
        return self.days[place] if place >= 0 and self.days[place] >= first else None


@attrs.frozen
class Peaks:
    """The largest amount of a single occasion; 0 where there was none."""

    days: list[int]
    highest: list[int]

    @staticmethod
    def of(daily: Daily) -> "Peaks":
        return Peaks(*_by_day(daily, max))

    def between(self, first: int, last: int) -> int:
        start, end = bisect_left(self.days, first), bisect_right(self.days, last)
        return max(self.highest[start:end], default=0)

    def plus(self, day: int, amount: int) -> "Peaks | None":
        if not self.days or day > self.days[-1]:
            return Peaks([*self.days, day], [*self.highest, amount])
        if day == self.days[-1]:
            return Peaks(self.days, [*self.highest[:-1], max(self.highest[-1], amount)])
        return None


@attrs.frozen
class Run:
    """Days in a row: `length` active ones from `first` to `last`."""

    first: int
    last: int
    length: int


@attrs.frozen
class Runs:
    """Active days in a row. Up to `grace_days` in between without anything do not end a run, and do
    not count into its length."""

    days: list[int]
    grace_days: int
    runs: list[Run]
    starts: list[int]
    longest: int

    @staticmethod
    def of(days: Iterable[int], grace_days: int) -> "Runs":
        active = sorted(set(days))
        runs = list(_runs(active, grace_days))
        longest = max((run.length for run in runs), default=0)
        return Runs(active, grace_days, runs, [run.first for run in runs], longest)

    def between(self, first: int, last: int) -> int:
        """The longest run within the span: what of a run lies outside does not count."""
        if self.days and first <= self.days[0] and self.days[-1] <= last:
            return self.longest
        inside = self.runs[max(0, bisect_right(self.starts, first) - 1) :]
        longest = 0
        for run in inside:
            if run.first > last:
                break
            longest = max(longest, self._inside(run, first, last))
        return longest

    def plus(self, day: int, amount: int) -> "Runs | None":
        if not self.days:
            return Runs.of([day], self.grace_days)
        gap = day - self.days[-1]
        if gap <= 0:
            return self if gap == 0 else None
        last = self.runs[-1]
        if gap > 1 + self.grace_days:
            runs, starts = [*self.runs, Run(day, day, 1)], [*self.starts, day]
        else:
            last = Run(last.first, day, last.length + 1)
            runs, starts = [*self.runs[:-1], last], self.starts
        longest = max(self.longest, runs[-1].length)
        return Runs([*self.days, day], self.grace_days, runs, starts, longest)

    def _inside(self, run: Run, first: int, last: int) -> int:
        if first <= run.first and run.last <= last:
            return run.length
        start, end = max(first, run.first), min(last, run.last)
        return max(0, bisect_right(self.days, end) - bisect_left(self.days, start))

    def alive(self, today: int) -> Run | None:
        """The run that goes on if something happens today: today is not over yet."""
        if not self.runs:
            return None
        place = bisect_right(self.starts, today) - 1
        if place < 0:
            return None
        run = self.runs[place]
        return run if today - run.last <= 1 + self.grace_days else None


def _runs(days: list[int], grace_days: int) -> Iterable[Run]:
    start = 0
    for place in range(1, len(days) + 1):
        if place < len(days) and days[place] - days[place - 1] <= 1 + grace_days:
            continue
        yield Run(days[start], days[place - 1], place - start)
        start = place


def _by_day(daily: Daily, together: Together) -> tuple[list[int], list[int]]:
    grouped = groupby(sorted(daily, key=_day), _day)
    pairs = [(day, together(map(_amount, group))) for day, group in grouped]
    return [day for day, _ in pairs], [amount for _, amount in pairs]
