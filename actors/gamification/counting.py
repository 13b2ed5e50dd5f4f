"""What a fact adds to a metric, and the readings that are made of facts."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from actors.gamification.facts import Fact, FactKind
from actors.gamification.messages import MONEY, Metric, Rule
from actors.gamification.readings import Peaks, Reading, Runs, Sums

Matches = Mapping[str, bool]
"""By article number, whether it matches a pattern."""

NO_MATCHES: Final[Matches] = {}

COUNTED: Final[Mapping[Metric, FactKind]] = {
    Metric.POINTS: FactKind.POINTS,
    Metric.REFERRALS: FactKind.REFERRAL,
}
"""What a metric counts, where it is not orders."""

Dated = Iterable[tuple[int, Fact]]
"""Facts, and their days."""


class NotMatched(Exception):
    """It is not known yet whether an article matches the pattern of a rule."""


class Counted(NamedTuple):
    """What of a rule says how facts are counted: rules that are alike here share a reading."""

    metric: Metric
    currency: str | None = None
    sku_pattern: str | None = None
    grace_days: int = 0


def counted_by(rule: Rule) -> Counted:
    return Counted(rule.metric, rule.currency, rule.sku_pattern, rule.grace_days)


def kind_of(metric: Metric) -> FactKind:
    return COUNTED.get(metric, FactKind.ORDER)


def amount_of(counted: Counted, fact: Fact, matches: Matches = NO_MATCHES) -> int | None:
    """What a fact adds; None where it does not count. Raises `NotMatched`."""
    metric = counted.metric
    if fact.void or fact.kind is not kind_of(metric):
        return None
    if metric in MONEY:
        return fact.left if fact.currency == counted.currency else None
    if metric is Metric.POINTS:
        return fact.left
    if metric is not Metric.ITEMS:
        return 1
    if counted.sku_pattern is None:
        return fact.quantity
    return _matching(fact, matches) or None


def _matching(fact: Fact, matches: Matches) -> int:
    try:
        return sum(number for sku, number in fact.items if matches[sku])
    except KeyError as error:
        raise NotMatched(f"not known whether {error.args[0]} matches") from None


def reading_of(counted: Counted, dated: Dated, matches: Matches = NO_MATCHES) -> Reading:
    """Raises `NotMatched`."""
    daily = [
        (day, amount)
        for day, fact in dated
        if (amount := amount_of(counted, fact, matches)) is not None
    ]
    match counted.metric:
        case Metric.LARGEST_ORDER:
            return Peaks.of(daily)
        case Metric.STREAK:
            return Runs.of((day for day, _ in daily), counted.grace_days)
        case Metric.ACTIVE_DAYS:
            return Sums.of((day, 1) for day in {day for day, _ in daily})
    return Sums.of(daily)


def with_fact(counted: Counted, reading: Reading, day: int, fact: Fact) -> Reading | None:
    """The reading with a fact that is new; None where it has to be made of all of them."""
    if counted.sku_pattern is not None:
        return None
    amount = amount_of(counted, fact)
    if amount is None:
        return reading
    if counted.metric is Metric.ACTIVE_DAYS and reading.days and reading.days[-1] == day:
        return reading
    return reading.plus(day, amount)
