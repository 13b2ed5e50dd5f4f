"""Real time: what ended before something else began comes before it, and readers see it."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from math import inf

import attrs

from tests.history.accounts import in_sequence, replayed
from tests.history.values import (
    Acknowledged,
    Anomaly,
    Balance,
    Entry,
    FinalState,
    History,
    Operation,
    Read,
    Rule,
)


@attrs.frozen
class Window:
    """When an entry was made: not before it was first asked for, not after it was told of."""

    place: int
    entry: Entry
    invoked_at: float
    told_at: float


def check_real_time(history: History, final: FinalState) -> Iterator[Anomaly]:
    """Order within each account. Between accounts there is none."""
    attempts: dict[str | None, list[Operation]] = defaultdict(list)
    for operation in history.operations:
        attempts[operation.key].append(operation)
    reads: dict[str, list[Read]] = defaultdict(list)
    for read in history.reads:
        reads[read.account].append(read)
    for account, entries in in_sequence(final).items():
        windows = [
            _window(place, entry, attempts[entry.key])
            for place, entry in enumerate(entries, start=1)
            if entry.key in attempts
        ]
        yield from _order(windows)
        yield from _reads(reads[account], windows, replayed(entries))


def _window(place: int, entry: Entry, attempts: Sequence[Operation]) -> Window:
    told = [each.completed_at for each in attempts if isinstance(each.outcome, Acknowledged)]
    return Window(place, entry, min(each.invoked_at for each in attempts), min(told, default=inf))


def _order(windows: Sequence[Window]) -> Iterator[Anomaly]:
    if not windows:
        return
    latest = windows[0]
    for window in windows:
        if window.told_at < latest.invoked_at:
            detail = (
                f"{latest.entry.key} at {latest.entry.sequence} began after {window.entry.key} "
                f"at {window.entry.sequence} was told"
            )
            yield Anomaly(Rule.REORDERED, window.entry.account, detail)
        latest = max(latest, window, key=lambda each: each.invoked_at)


@attrs.frozen
class Highest:
    """The highest place among those with a time before a given one."""

    times: list[float]
    places: list[int]

    @classmethod
    def of(cls, pairs: Iterable[tuple[float, int]]) -> "Highest":
        ordered = sorted(pairs)
        places = accumulate((place for _, place in ordered), max)
        return cls([time for time, _ in ordered], list(places))

    def before(self, time: float) -> int:
        index = bisect_left(self.times, time)
        return self.places[index - 1] if index else 0


def _reads(
    reads: Sequence[Read], windows: Sequence[Window], balances: Sequence[Balance]
) -> Iterator[Anomaly]:
    told = Highest.of((window.told_at, window.place) for window in windows)
    begun = Highest.of((window.invoked_at, window.place) for window in windows)
    for read in reads:
        first, last = told.before(read.invoked_at), begun.before(read.completed_at)
        if read.balance not in balances[first : max(first, last) + 1]:
            detail = f"read {read.balance} between {first} and {last}"
            yield Anomaly(Rule.STALE_READ, read.account, detail)
