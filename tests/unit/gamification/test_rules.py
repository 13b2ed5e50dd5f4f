"""Rules as pure functions of what happened, compared with what a person would count by hand."""

from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.gamification.counting import NotMatched
from actors.gamification.evaluation import Reach, reached, value_now
from actors.gamification.facts import Fact, FactKind
from actors.gamification.history import FACTS_MAX, History
from actors.gamification.messages import (
    MONEY,
    Calendar,
    Comparison,
    Metric,
    Recurrence,
    Rule,
    Window,
)
from actors.gamification.periods import FIRST_DAY, LAST_DAY, period_of
from actors.gamification.readings import Runs
from tests.unit.gamification.examples import (
    UTC_ZONE,
    bought,
    day,
    earned,
    history,
    noon,
    on_days,
)

ONCE, EACH = Recurrence.ONCE, Recurrence.EACH_PERIOD
ACTIVE = st.lists(st.integers(0, 400), max_size=60)


def value(rule: Rule, told: History, today: int) -> int:
    return value_now(rule, told, day(today), {"ROSES": True, "TULIPS": False}).value


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule(metric=Metric.ORDERS, target=1), 3),
        (Rule(metric=Metric.SPEND, target=1, currency="EUR"), 1_700),
        (Rule(metric=Metric.SPEND, target=1, currency="USD"), 50),
        (Rule(metric=Metric.LARGEST_ORDER, target=1, currency="EUR"), 1_000),
        (Rule(metric=Metric.ITEMS, target=1), 6),
        (Rule(metric=Metric.ITEMS, target=1, sku_pattern="R.*"), 5),
        (Rule(metric=Metric.ACTIVE_DAYS, target=1), 2),
        (Rule(metric=Metric.STREAK, target=1), 1),
        (Rule(metric=Metric.STREAK, target=1, grace_days=1), 2),
        (Rule(metric=Metric.POINTS, target=1), 12),
        (Rule(metric=Metric.REFERRALS, target=1), 1),
    ],
)
def test_each_metric_counts_what_it_says(rule: Rule, expected: int) -> None:
    told = history(
        bought(1, 1_000, items=(("ROSES", 2), ("TULIPS", 1))),
        bought(3, 1_000, taken=300, items=(("ROSES", 3),)),
        bought(3, 50, currency="USD"),
        bought(2, 9_999, taken=9_999, void=True, items=(("ROSES", 9),)),
        earned(1, 20),
        earned(3, -8),
        Fact(fact_id="r", kind=FactKind.REFERRAL, occurred_at=noon(1)),
    )
    assert value(rule, told, 3) == expected


def test_comparisons_begin_at_the_target_or_behind_it() -> None:
    told = on_days([1, 2])
    for comparison, target, holds in [
        (Comparison.AT_LEAST, 2, True),
        (Comparison.AT_LEAST, 3, False),
        (Comparison.MORE_THAN, 1, True),
        (Comparison.MORE_THAN, 2, False),
    ]:
        rule = Rule(metric=Metric.ORDERS, target=target, comparison=comparison)
        assert bool(reached(rule, ONCE, told)) is holds


@given(ACTIVE, st.integers(1, 60), st.integers(1, 5))
def test_a_rolling_window_holds_where_any_span_of_days_does(
    active: list[int], rolling: int, target: int
) -> None:
    rule = Rule(metric=Metric.ORDERS, target=target, window=Window(rolling_days=rolling))
    best = max(
        (sum(1 for other in active if end - rolling < other <= end) for end in active), default=0
    )
    found = reached(rule, ONCE, on_days(active))
    assert found == ([Reach("once", best)] if best >= target else [])


@given(ACTIVE, st.sampled_from(Calendar), st.integers(1, 4))
def test_each_period_is_counted_by_itself(
    active: list[int], calendar: Calendar, target: int
) -> None:
    rule = Rule(metric=Metric.ORDERS, target=target, window=Window(calendar=calendar))
    counts = Counter(period_of(calendar, day(number)).name for number in active)
    expected = {name: number for name, number in counts.items() if number >= target}
    told = on_days(active)
    assert {reach.period: reach.value for reach in reached(rule, EACH, told)} == expected


@given(
    ACTIVE.filter(bool),
    st.sampled_from(
        [Window(), Window(rolling_days=9), *(Window(calendar=each) for each in Calendar)]
    ),
    st.sampled_from([Metric.ORDERS, Metric.ACTIVE_DAYS, Metric.STREAK]),
    st.integers(1, 6),
    st.integers(0, 2**32),
)
def test_events_in_any_order_reach_what_all_of_them_do(
    active: list[int], window: Window, metric: Metric, target: int, seed: int
) -> None:
    """Each is looked at only where it may have changed something, and late ones count as well."""
    rule = Rule(metric=metric, target=target, window=window)
    facts = [bought(number) for number in active]
    Random(seed).shuffle(facts)
    told, seen = History(UTC_ZONE), set()
    for fact in [*facts, *facts[:3]]:
        told, changed = told.with_facts((fact,))
        seen |= {reach.period for reach in reached(rule, ONCE, told, changed.days)}
        if window.calendar is not None:
            seen |= {reach.period for reach in reached(rule, EACH, told, changed.days)}
    afresh = History.of(UTC_ZONE, told.facts.values())
    whole = {reach.period for reach in reached(rule, ONCE, afresh)}
    if window.calendar is not None:
        whole |= {reach.period for reach in reached(rule, EACH, afresh)}
    assert seen == whole


FACTS = st.builds(
    lambda number, amount, currency, void: bought(
        number, amount, currency=currency, void=void, items=(("ROSES", amount % 3),)
    ),
    st.integers(0, 12),
    st.integers(0, 500),
    st.sampled_from(["EUR", "USD"]),
    st.booleans(),
)


@given(st.lists(st.lists(FACTS, max_size=3), max_size=8))
def test_readings_that_grew_are_those_that_are_made_afresh(tellings: list[list[Fact]]) -> None:
    rules = [
        Rule(
            metric=metric,
            target=1,
            currency="EUR" if metric in MONEY else None,
            grace_days=grace if metric is Metric.STREAK else 0,
        )
        for metric in Metric
        for grace in (0, 2)
    ]
    told = History(UTC_ZONE)
    for facts in tellings:
        told, _ = told.with_facts(facts)
        afresh = History.of(UTC_ZONE, told.facts.values())
        for rule in rules:
            assert told.reading(rule) == afresh.reading(rule)


def longest_by_hand(days: list[int], grace: int) -> int:
    """The longest run, counted naively."""
    distinct = sorted(set(days))
    best = length = min(1, len(distinct))
    for before, after in pairwise(distinct):
        length = length + 1 if after - before <= grace + 1 else 1
        best = max(best, length)
    return best


@given(st.lists(st.integers(0, 40)), st.integers(0, 3), st.integers(0, 40), st.integers(0, 40))
def test_streaks_are_the_longest_runs_of_days(
    days: list[int], grace: int, first: int, last: int
) -> None:
    runs = Runs.of(days, grace)
    assert runs.between(FIRST_DAY, LAST_DAY) == 0
    assert runs.between(-1, 41) == longest_by_hand(days, grace)
    inside = [each for each in days if first <= each <= last]
    assert runs.between(first, last) == longest_by_hand(inside, grace)


def test_a_streak_is_alive_until_a_day_has_passed_without_it() -> None:
    rule = Rule(metric=Metric.STREAK, target=3)
    told = on_days([1, 2, 3])
    assert [value(rule, told, today) for today in (3, 4, 5)] == [3, 3, 0]
    gracious = Rule(metric=Metric.STREAK, target=3, grace_days=2)
    assert [value(gracious, told, today) for today in (6, 7)] == [3, 0]


def test_a_late_event_joins_two_runs() -> None:
    rule = Rule(metric=Metric.STREAK, target=5)
    told = on_days([1, 2, 4, 5])
    assert reached(rule, ONCE, told) == []
    after, changed = told.with_facts((bought(3),))
    assert reached(rule, ONCE, after, changed.days) == [Reach("once", 5)]


def test_a_taking_back_that_comes_first_is_remembered() -> None:
    order = bought(1, 100, fact_id="order:x")
    refunded = bought(1, 100, fact_id="order:x", taken=100, void=True)
    one, _ = History(UTC_ZONE).with_facts((order, refunded))
    other, changed = History(UTC_ZONE).with_facts((refunded,))
    other, again = other.with_facts((order,))
    assert one.facts == other.facts
    assert not changed.less
    assert again.facts == ()


def test_only_the_latest_facts_of_a_customer_count() -> None:
    told = on_days(range(FACTS_MAX))
    after, _ = told.with_facts((bought(FACTS_MAX), bought(FACTS_MAX + 1)))
    assert len(after.facts) == FACTS_MAX
    assert min(fact.occurred_at for fact in after.facts.values()) == noon(2)


def test_what_is_not_known_of_a_pattern_is_told() -> None:
    rule = Rule(metric=Metric.ITEMS, target=1, sku_pattern="R.*")
    with pytest.raises(NotMatched, match="ROSES"):
        reached(rule, ONCE, history(bought(1, items=(("ROSES", 1),))))
