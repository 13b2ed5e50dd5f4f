"""Evaluating one rule: pure, and bounded by the days of the customer's history."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator

import attrs

from actors.gamification.counting import NO_MATCHES, Matches
from actors.gamification.history import History
from actors.gamification.messages import Comparison, Metric, Recurrence, Rule
from actors.gamification.periods import ONCE, Period, period_of, window_at
from actors.gamification.readings import Reading, Runs


@attrs.frozen
class Reach:
    """The rule was true: `value` is what it measured, `period` that of the badge."""

    period: str
    value: int


def holds(rule: Rule, value: int) -> bool:
    if rule.comparison is Comparison.MORE_THAN:
        return value > rule.target
    return value >= rule.target


def reached(
    rule: Rule,
    recurrence: Recurrence,
    history: History,
    days: Iterable[int] | None = None,
    matches: Matches = NO_MATCHES,
) -> list[Reach]:
    """Where the rule holds, each period once: of the windows that something on one of `days` may
    have changed, or of all. Raises `NotMatched`."""
    reading = history.reading(rule, matches)
    found: dict[str, Reach] = {}
    for window in _windows(rule, reading, days):
        value = reading.between(window.first, window.last)
        if holds(rule, value):
            name = ONCE if recurrence is Recurrence.ONCE else window.name
            known = found.get(name)
            if known is None or value > known.value:
                found[name] = Reach(name, value)
    return list(found.values())


def _windows(rule: Rule, reading: Reading, days: Iterable[int] | None) -> Iterator[Period]:
    touched = reading.days if days is None else days
    rolling = rule.window.rolling_days
    if rolling is None:
        periods = {period_of(rule.window.calendar, day) for day in touched}
        yield from sorted(periods, key=_first)
        return
    if days is None:
        ends = set(reading.days)
    else:
        ends = {end for day in touched for end in _ends(reading, day, rolling)}
    for end in sorted(ends):
        yield window_at(rule.window, end)


def _first(period: Period) -> int:
    return period.first


def _ends(reading: Reading, day: int, rolling: int) -> list[int]:
    """The active days that look back at `day`."""
    active = reading.days
    return active[bisect_left(active, day) : bisect_left(active, day + rolling)]


@attrs.frozen
class Now:
    """A metric at this moment, and the days that it is read over."""

    value: int
    window: Period


def value_now(rule: Rule, history: History, today: int, matches: Matches = NO_MATCHES) -> Now:
    """Raises `NotMatched`."""
    reading, window = history.reading(rule, matches), window_at(rule.window, today)
    if rule.metric is Metric.STREAK and isinstance(reading, Runs):
        run = reading.alive(today)
        value = reading.between(max(run.first, window.first), window.last) if run else 0
        return Now(value, window)
    return Now(reading.between(window.first, window.last), window)
