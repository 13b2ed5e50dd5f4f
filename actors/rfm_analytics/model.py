"""Scores and segments as pure functions: cut points, which rule matches, what is a whole set.

A score is 1 and the number of cut points strictly below the value, of four ascending ones. So
equal values always have equal scores, however the cut points were found.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import attrs

from actors.rfm_analytics.messages import (
    AT_PATTERN,
    PROSPECT,
    RULES_MAX,
    SCORE_MAX,
    SEGMENT_PATTERN,
    RfmTerms,
    Rhythm,
    RunSchedule,
    Scores,
    Scoring,
    SegmentRule,
    SegmentSummary,
)
from actors.vocabulary import CURRENCY_PATTERN, Refusal, RefusalKind
from runtime.jobs import Daily, Hourly
from runtime.jobs.schedules import Timing

Cut = tuple[int, ...]
"""Four ascending cut points of a dimension, or none where nobody is scored."""

Cell = tuple[int, int, int]
"""Scores of recency, frequency and money."""

CELLS: tuple[Cell, ...] = tuple(
    (recency, frequency, monetary)
    for recency in range(1, SCORE_MAX + 1)
    for frequency in range(1, SCORE_MAX + 1)
    for monetary in range(1, SCORE_MAX + 1)
)
"""All scores there can be: few enough to look at each."""

RECENCY_THRESHOLDS = (-91, -61, -31, -8)
"""Of the negative of whole days: 5 up to 7 days, 4 up to 30, 3 up to 60, 2 up to 90."""

FREQUENCY_THRESHOLDS = (1, 3, 5, 10)

MONETARY_MULTIPLES = ((1, 2), (1, 1), (2, 1), (5, 1))
"""Of the mean order value, as fractions."""

DAY = timedelta(days=1)


@attrs.frozen
class Cuts:
    """The cut points of one scoring. Recency is scored on the negative of its days."""

    recency: Cut
    frequency: Cut
    monetary: Cut

    def cell(self, recency_days: int, orders: int, monetary_minor: int) -> Cell:
        return (
            score(-recency_days, self.recency),
            score(orders, self.frequency),
            score(monetary_minor, self.monetary),
        )


def score(value: int, cut: Cut) -> int:
    return 1 + sum(point < value for point in cut)


def recency_days(as_of: datetime, last_ordered_at: datetime) -> int:
    """Whole days from the last order until then."""
    return (as_of - last_ordered_at) // DAY


def quintile_ranks(count: int) -> tuple[int, ...]:
    """The ranks, from 1, of the values that cut so many ascending ones: a fifth, two fifths and
    so on, rounded up."""
    return tuple(-(-fifth * count // SCORE_MAX) for fifth in range(1, SCORE_MAX)) if count else ()


def quintile_cut(ascending: Sequence[int]) -> Cut:
    return tuple(ascending[rank - 1] for rank in quintile_ranks(len(ascending)))


def threshold_cuts(orders: int, revenue_minor: int) -> Cuts:
    """Those of threshold scoring, where all customers together have bought so much.

    Money is more than a multiple of the mean order value when it is more than that rounded down,
    as it is a whole number.
    """
    if not orders:
        return Cuts(RECENCY_THRESHOLDS, FREQUENCY_THRESHOLDS, ())
    monetary = tuple(top * revenue_minor // (bottom * orders) for top, bottom in MONETARY_MULTIPLES)
    return Cuts(RECENCY_THRESHOLDS, FREQUENCY_THRESHOLDS, monetary)


def matching(rules: Sequence[SegmentRule], cell: Cell) -> int | None:
    """The place, from 1, of the first rule that matches."""
    for place, rule in enumerate(rules, 1):
        wanted = (rule.recency, rule.frequency, rule.monetary)
        if all(scores.has(have) for scores, have in zip(wanted, cell, strict=True)):
            return place
    return None


def places(rules: Sequence[SegmentRule]) -> dict[Cell, int]:
    """For each cell the rule that decides. The rules are total."""
    found = {cell: matching(rules, cell) for cell in CELLS}
    return {cell: place for cell, place in found.items() if place is not None}


def unmatched(rules: Sequence[SegmentRule]) -> tuple[int, ...]:
    """Places of rules that never decide, as earlier ones match wherever they do."""
    decide = set(places(rules).values())
    return tuple(place for place in range(1, len(rules) + 1) if place not in decide)


def check_terms(terms: RfmTerms) -> Refusal | None:
    """Why a merchant cannot have these terms."""
    if not 1 <= len(terms.rules) <= RULES_MAX:
        return _invalid("invalid_rules", f"there are 1 to {RULES_MAX} rules")
    if terms.currency is not None and not re.fullmatch(CURRENCY_PATTERN, terms.currency):
        return _invalid("invalid_currency", "a currency has three capital letters (ISO 4217)")
    for place, rule in enumerate(terms.rules, 1):
        refusal = _check_rule(place, rule)
        if refusal is not None:
            return refusal
    return _check_total(terms.rules) or _check_schedule(terms.schedule)


def _check_rule(place: int, rule: SegmentRule) -> Refusal | None:
    if rule.segment == PROSPECT:
        return _invalid("invalid_segment", f"{PROSPECT} is for those who have not ordered yet")
    if not re.fullmatch(SEGMENT_PATTERN, rule.segment):
        detail = "a segment is named by 1 to 40 of a-z 0-9 _, the first a letter"
        return _invalid("invalid_segment", f"rule {place}: {detail}")
    if not all(map(_in_order, (rule.recency, rule.frequency, rule.monetary))):
        detail = f"scores are from 1 to {SCORE_MAX}, min not more than max"
        return _invalid("invalid_scores", f"rule {place}: {detail}")
    return None


def _in_order(scores: Scores) -> bool:
    return 1 <= scores.min <= scores.max <= SCORE_MAX


def _check_total(rules: Sequence[SegmentRule]) -> Refusal | None:
    missing = [cell for cell in CELLS if matching(rules, cell) is None]
    if not missing:
        return None
    example = "R{} F{} M{}".format(*missing[0])
    more = f" and {len(missing) - 1} further combinations" if len(missing) > 1 else ""
    return _invalid("segments_not_total", f"no rule matches {example}{more}")


def _check_schedule(schedule: RunSchedule) -> Refusal | None:
    if not 0 <= schedule.minute < 60:
        return _invalid("invalid_schedule", "a minute is from 0 to 59")
    if not re.fullmatch(AT_PATTERN, schedule.at):
        return _invalid("invalid_schedule", "a time is told as HH:MM")
    try:
        ZoneInfo(schedule.time_zone)
    except (KeyError, ValueError, OSError):
        return _invalid("invalid_schedule", "there is no such time zone (IANA)")
    return None


def _invalid(code: str, detail: str) -> Refusal:
    return Refusal(RefusalKind.INVALID, code, detail)


def timing_of(schedule: RunSchedule) -> Timing | None:
    """When runs begin by themselves; None for never."""
    if schedule.rhythm is Rhythm.OFF:
        return None
    if schedule.rhythm is Rhythm.HOURLY:
        return Hourly(schedule.minute)
    return Daily(time.fromisoformat(schedule.at), ZoneInfo(schedule.time_zone))


@attrs.frozen
class Amounts:
    """Of some customers together."""

    customers: int = 0
    orders: int = 0
    revenue_minor: int = 0

    def __add__(self, other: "Amounts") -> "Amounts":
        return Amounts(
            self.customers + other.customers,
            self.orders + other.orders,
            self.revenue_minor + other.revenue_minor,
        )


def names_of(rules: Iterable[SegmentRule]) -> tuple[str, ...]:
    """The segments of scored customers, in the order in which they are told."""
    return tuple(dict.fromkeys(rule.segment for rule in rules))


def summaries(
    rules: Sequence[SegmentRule], cells: Mapping[Cell, Amounts], prospects: int
) -> tuple[SegmentSummary, ...]:
    """What is in each segment, where so much is in each cell."""
    place_of = places(rules)
    amounts = dict.fromkeys(names_of(rules), Amounts())
    for cell, some in cells.items():
        amounts[rules[place_of[cell] - 1].segment] += some
    amounts[PROSPECT] = Amounts(prospects)
    customers = sum(some.customers for some in amounts.values())
    return tuple(
        SegmentSummary(
            name=name,
            customers=some.customers,
            share=round(some.customers / customers, 6) if customers else 0.0,
            orders=some.orders,
            revenue_minor=some.revenue_minor,
        )
        for name, some in amounts.items()
    )


Scorings = Mapping[Scoring, Cuts]
"""Every run knows both, so that a preview needs to score nobody."""
