"""Definitions that do not hold together are refused."""

import pytest

from actors.gamification.checks import check_definition
from actors.gamification.messages import (
    AchievementTerms,
    BadgeTerms,
    BoardTerms,
    Calendar,
    Metric,
    Recurrence,
    Rule,
    ScoreTerm,
    ScoreTerms,
    Signal,
    Terms,
    Window,
)

ORDERS = Rule(metric=Metric.ORDERS, target=1)
TERM = ScoreTerm(signal=Signal.ORDERS, weight=1, cap=1, half_life_days=1)
MONTHLY = Window(calendar=Calendar.MONTH)


def rule(metric: Metric = Metric.ORDERS, target: int = 1, **rest: object) -> AchievementTerms:
    return AchievementTerms(
        name="a",
        badge_id="b",
        rule=Rule(metric=metric, target=target, **rest),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    "terms",
    [
        BadgeTerms(name="a", image_url="https://shop.example.com/a.png"),
        rule(Metric.SPEND, currency="EUR", window=MONTHLY),
        rule(Metric.STREAK, grace_days=2),
        rule(Metric.ITEMS, sku_pattern="ROSES-.*"),
        AchievementTerms(
            name="a",
            badge_id="b",
            rule=Rule(metric=Metric.ORDERS, target=1, window=MONTHLY),
            recurrence=Recurrence.EACH_PERIOD,
        ),
        BoardTerms(name="a", metric=Metric.POINTS, cycle=None),
        ScoreTerms(terms=(TERM,)),
    ],
)
def test_what_holds_together_is_taken(terms: Terms) -> None:
    assert check_definition("a", terms) is None


@pytest.mark.parametrize(
    "terms",
    [
        BadgeTerms(name=""),
        BadgeTerms(name="a", image_url="http://shop.example.com/a.png"),
        BadgeTerms(name="a", description="a" * 501),
        rule(target=0),
        rule(window=Window(rolling_days=7, calendar=Calendar.MONTH)),
        rule(window=Window(rolling_days=0)),
        rule(Metric.SPEND),
        rule(Metric.SPEND, currency="euro"),
        rule(currency="EUR"),
        rule(grace_days=1),
        rule(Metric.STREAK, grace_days=31),
        rule(sku_pattern="a"),
        rule(Metric.ITEMS, sku_pattern="("),
        rule(Metric.ITEMS, sku_pattern="a" * 201),
        AchievementTerms(name="a", badge_id="b", rule=ORDERS, recurrence=Recurrence.EACH_PERIOD),
        BoardTerms(name="a", metric=Metric.SPEND),
        BoardTerms(name="a", metric=Metric.ORDERS, closes_after_hours=169),
        ScoreTerms(terms=()),
        ScoreTerms(terms=(TERM, TERM)),
        ScoreTerms(terms=(ScoreTerm(signal=Signal.ORDERS, weight=0, cap=1, half_life_days=1),)),
        ScoreTerms(terms=(ScoreTerm(signal=Signal.ORDERS, weight=1, cap=1, half_life_days=0),)),
    ],
)
def test_what_does_not_is_refused(terms: Terms) -> None:
    refusal = check_definition("a", terms)
    assert refusal is not None
    assert refusal.code == "invalid_definition"
