"""Scores, rules and configurations, against the plain definitions."""

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.rfm_analytics.messages import (
    DEFAULT_RULES,
    RfmTerms,
    Rhythm,
    RunSchedule,
    Scores,
    SegmentRule,
)
from actors.rfm_analytics.model import (
    CELLS,
    Amounts,
    Cuts,
    check_terms,
    matching,
    quintile_cut,
    quintile_ranks,
    recency_days,
    score,
    summaries,
    threshold_cuts,
    unmatched,
)
from actors.vocabulary import Refusal
from tests.unit.rfm_analytics.oracle import SEGMENT_OF, Bought, expected

AS_OF = datetime(2026, 3, 1, 12, tzinfo=UTC)
SMALL = st.integers(0, 6)

bought = st.builds(
    Bought,
    customer=st.sampled_from("abcdefgh"),
    ordered_at=st.integers(0, 120).map(lambda days: AS_OF - timedelta(days=days, hours=1)),
    paid_minor=st.integers(0, 40).map(lambda amount: amount * 25),
)


def facts_of(orders: list[Bought]) -> dict[str, tuple[int, int, int]]:
    found: dict[str, tuple[int, int, int]] = {}
    for order in orders:
        days, count, money = found.get(order.customer, (10**6, 0, 0))
        age = recency_days(AS_OF, order.ordered_at)
        found[order.customer] = (min(days, age), count + 1, money + order.paid_minor)
    return found


@given(st.lists(bought, max_size=40), st.booleans())
def test_scores_and_segments_are_those_of_the_definitions(
    orders: list[Bought], quintiles: bool
) -> None:
    facts = facts_of(orders)
    if quintiles:
        recency, frequency, monetary = zip(*facts.values(), strict=True) if facts else ((),) * 3
        cuts = Cuts(
            quintile_cut(sorted(-days for days in recency)),
            quintile_cut(sorted(frequency)),
            quintile_cut(sorted(monetary)),
        )
    else:
        spent = sum(fact[2] for fact in facts.values())
        cuts = threshold_cuts(len(orders), spent)
    for name, right in expected(facts, orders, AS_OF, quintiles=quintiles).items():
        cell = cuts.cell(*facts[name])
        assert cell == right.scores
        place = matching(DEFAULT_RULES, cell)
        assert place is not None
        assert DEFAULT_RULES[place - 1].segment == right.segment


@pytest.mark.parametrize(
    ("count", "ranks"),
    [
        (1, (1, 1, 1, 1)),
        (4, (1, 2, 3, 4)),
        (5, (1, 2, 3, 4)),
        (6, (2, 3, 4, 5)),
        (11, (3, 5, 7, 9)),
        (10**6, (200_000, 400_000, 600_000, 800_000)),
    ],
)
def test_ranks_are_rounded_up(count: int, ranks: tuple[int, ...]) -> None:
    assert quintile_ranks(count) == ranks


def test_equal_values_have_equal_scores_however_uneven_that_makes_the_bands() -> None:
    cut = quintile_cut([1, 1, 1, 1, 1, 1, 1, 2, 9])
    assert cut == (1, 1, 1, 2)
    assert [score(value, cut) for value in (1, 2, 9)] == [1, 4, 5]


@pytest.mark.parametrize(
    ("days", "frequency", "monetary", "cell"),
    [
        (7, 11, 5_001, (5, 5, 5)),
        (8, 10, 5_000, (4, 4, 4)),
        (30, 6, 2_001, (4, 4, 4)),
        (31, 5, 2_000, (3, 3, 3)),
        (60, 4, 1_001, (3, 3, 3)),
        (61, 3, 1_000, (2, 2, 2)),
        (90, 2, 501, (2, 2, 2)),
        (91, 1, 500, (1, 1, 1)),
    ],
)
def test_thresholds_are_exact_at_their_edges(
    days: int, frequency: int, monetary: int, cell: tuple[int, int, int]
) -> None:
    assert threshold_cuts(10, 10_000).cell(days, frequency, monetary) == cell


def test_a_broken_mean_is_not_rounded() -> None:
    """The mean of 3 orders of 10 together is 3 and a third: 3 is not more, 4 is."""
    cuts = threshold_cuts(3, 10)
    assert [score(money, cuts.monetary) for money in (1, 2, 3, 4, 6, 7)] == [1, 2, 2, 3, 3, 4]


def test_a_day_is_whole_when_its_last_second_has_passed() -> None:
    almost = AS_OF - timedelta(days=1) + timedelta(microseconds=1)
    assert [recency_days(AS_OF, then) for then in (AS_OF, almost, AS_OF - timedelta(days=1))] == [
        0,
        0,
        1,
    ]


def test_the_usual_segments_cover_everything_once() -> None:
    for recency, frequency, monetary in CELLS:
        matches = [
            rule.segment
            for rule in DEFAULT_RULES
            if matching((rule,), (recency, frequency, monetary)) is not None
        ]
        assert matches == [SEGMENT_OF[recency, frequency]]


def test_a_configuration_that_leaves_somebody_out_is_refused_and_says_whom() -> None:
    rules = tuple(rule for rule in DEFAULT_RULES if rule.segment != "promising")
    refusal = check_terms(RfmTerms(rules=rules))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "segments_not_total"
    assert refusal.detail == "no rule matches R4 F1 M1 and 4 further combinations"
    rest = SegmentRule(segment="others")
    assert check_terms(RfmTerms(rules=(*rules, rest))) is None


def test_of_overlapping_rules_the_first_decides_and_one_that_never_does_is_told() -> None:
    big = SegmentRule(segment="big", monetary=Scores(5, 5))
    rest = SegmentRule(segment="rest")
    idle = SegmentRule(segment="idle", recency=Scores(1, 1))
    rules = (big, rest, idle)
    assert [matching(rules, cell) for cell in ((1, 1, 5), (1, 1, 4))] == [1, 2]
    assert unmatched(rules) == (3,)
    assert check_terms(RfmTerms(rules=rules)) is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"rules": ()}, "invalid_rules"),
        ({"rules": (SegmentRule(segment="prospect"),)}, "invalid_segment"),
        ({"rules": (SegmentRule(segment="No Name"),)}, "invalid_segment"),
        ({"rules": (SegmentRule(segment="a", recency=Scores(0, 5)),)}, "invalid_scores"),
        ({"rules": (SegmentRule(segment="a", monetary=Scores(4, 3)),)}, "invalid_scores"),
        ({"currency": "eur"}, "invalid_currency"),
        ({"schedule": RunSchedule(at="24:00")}, "invalid_schedule"),
        ({"schedule": RunSchedule(time_zone="Mars/Olympus")}, "invalid_schedule"),
        ({"schedule": RunSchedule(rhythm=Rhythm.HOURLY, minute=60)}, "invalid_schedule"),
    ],
)
def test_what_makes_no_sense_is_refused(change: dict[str, Any], code: str) -> None:
    refusal = check_terms(attrs.evolve(RfmTerms(), **change))
    assert isinstance(refusal, Refusal)
    assert refusal.code == code


def test_summaries_have_every_segment_and_shares_of_all_customers() -> None:
    told = summaries(DEFAULT_RULES, {(5, 5, 1): Amounts(3, 9, 90), (4, 5, 5): Amounts(1, 4, 70)}, 4)
    by_name = {each.name: each for each in told}
    assert len(told) == 11
    assert (by_name["champions"].customers, by_name["champions"].share) == (3, 0.375)
    assert (by_name["loyal"].orders, by_name["loyal"].revenue_minor) == (4, 70)
    assert (by_name["prospect"].customers, by_name["prospect"].share) == (4, 0.5)
    assert sum(each.share for each in told) == 1
