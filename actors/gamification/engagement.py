"""The engagement score: a pure function of what a customer did, and of the weights.

`100 * sum(weight * capped count * 2 ** (-age / half-life)) / sum(weight * cap)`, where the age of a
term is that of the latest of what it counts, in local days.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from actors.gamification.history import History
from actors.gamification.messages import (
    Metric,
    Rule,
    ScorePart,
    ScoreTerm,
    ScoreTerms,
    Signal,
)
from actors.gamification.periods import day_text
from actors.gamification.readings import Sums

BUILT_IN: Final = ScoreTerms(
    terms=(
        ScoreTerm(signal=Signal.ORDERS, weight=5, cap=10, half_life_days=60),
        ScoreTerm(signal=Signal.ACTIVE_DAYS, weight=3, cap=10, half_life_days=30),
        ScoreTerm(signal=Signal.BADGES, weight=2, cap=10, half_life_days=90),
    )
)
"""Version 0 of the score."""

DECIMALS: Final = 4

METRICS: Final[Mapping[Signal, Metric]] = {
    Signal.ORDERS: Metric.ORDERS,
    Signal.ITEMS: Metric.ITEMS,
    Signal.ACTIVE_DAYS: Metric.ACTIVE_DAYS,
    Signal.REFERRALS: Metric.REFERRALS,
}


def score_parts(
    terms: ScoreTerms, history: History, badge_days: Iterable[int], today: int
) -> tuple[ScorePart, ...]:
    """The terms with what each of them adds; `badge_days` are the local days of badges."""
    badges = Sums.of((day, 1) for day in badge_days)
    whole = sum(term.weight * term.cap for term in terms.terms)
    return tuple(_part(term, _reading(term, history, badges), today, whole) for term in terms.terms)


def _reading(term: ScoreTerm, history: History, badges: Sums) -> Sums:
    metric = METRICS.get(term.signal)
    if metric is None:
        return badges
    reading = history.reading(Rule(metric=metric, target=1))
    if not isinstance(reading, Sums):
        raise TypeError(f"{metric} does not add up")
    return reading


def _part(term: ScoreTerm, reading: Sums, today: int, whole: int) -> ScorePart:
    first = today - term.within_days + 1
    count = reading.between(first, today)
    capped = min(count, term.cap)
    last = reading.latest(first, today)
    age_days = today - last if last is not None else None
    decay = 2.0 ** (-age_days / term.half_life_days) if age_days is not None else 0.0
    return ScorePart(
        signal=term.signal,
        weight=term.weight,
        cap=term.cap,
        half_life_days=term.half_life_days,
        within_days=term.within_days,
        count=count,
        capped=capped,
        last_day=day_text(last) if last is not None else None,
        age_days=age_days,
        decay=round(decay, DECIMALS),
        points=round(100 * term.weight * capped * decay / whole, DECIMALS),
    )


def score_of(parts: Iterable[ScorePart]) -> float:
    """The sum of the points of its parts."""
    return round(sum(part.points for part in parts), DECIMALS)
