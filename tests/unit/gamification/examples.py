"""Histories and rules for tests: facts on days that are counted from one."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from actors.gamification.awarding import Achievement
from actors.gamification.facts import Fact, FactKind
from actors.gamification.history import History
from actors.gamification.messages import AchievementTerms, Metric, Rule

UTC_ZONE = ZoneInfo("UTC")
FIRST = date(2026, 1, 1)
"""Day 0 of the tests."""

_number = count(1).__next__


def day(number: int) -> int:
    return FIRST.toordinal() + number


def noon(number: int) -> datetime:
    return datetime(FIRST.year, FIRST.month, FIRST.day, 12, tzinfo=UTC) + timedelta(days=number)


def bought(number: int, amount: int = 1_000, **rest: Any) -> Fact:
    """An order on a day."""
    defaults: dict[str, Any] = {"fact_id": f"order:{_number()}", "currency": "EUR"}
    return Fact(kind=FactKind.ORDER, occurred_at=noon(number), amount=amount, **defaults | rest)


def earned(number: int, points: int) -> Fact:
    return Fact(
        fact_id=f"points:{_number()}",
        kind=FactKind.POINTS,
        occurred_at=noon(number),
        amount=points,
    )


def history(*facts: Fact, zone: ZoneInfo = UTC_ZONE) -> History:
    return History.of(zone, facts)


def on_days(days: Iterable[int]) -> History:
    return history(*(bought(number) for number in days))


def achievement(achievement_id: str = "a", rule: Rule | None = None, **rest: Any) -> Achievement:
    rule = rule if rule is not None else Rule(metric=Metric.ORDERS, target=1)
    version = rest.pop("version", 1)
    badge_id = rest.pop("badge_id", achievement_id)
    terms = AchievementTerms(name=achievement_id, badge_id=badge_id, rule=rule, **rest)
    return Achievement(achievement_id=achievement_id, version=version, terms=terms)
