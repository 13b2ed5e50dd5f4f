"""The engagement score, computed by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.gamification.engagement import BUILT_IN, score_of, score_parts
from actors.gamification.messages import ScoreTerm, ScoreTerms, Signal
from tests.unit.gamification.examples import day, history, on_days

TERMS = ScoreTerms(
    terms=(
        ScoreTerm(signal=Signal.ORDERS, weight=3, cap=4, half_life_days=10),
        ScoreTerm(signal=Signal.BADGES, weight=4, cap=2, half_life_days=5, within_days=30),
    )
)


def test_each_term_is_weight_times_capped_count_halved_with_age() -> None:
    parts = score_parts(TERMS, on_days([1, 2, 3, 5, 10]), [day(15), day(-40)], day(20))
    orders, badges = parts
    assert (orders.count, orders.capped, orders.age_days, orders.last_day) == (
        5,
        4,
        10,
        "2026-01-11",
    )
    assert orders.decay == 0.5
    assert orders.points == pytest.approx(100 * 3 * 4 * 0.5 / 20)
    assert (badges.count, badges.age_days, badges.decay) == (1, 5, 0.5)
    assert badges.points == pytest.approx(100 * 4 * 1 * 0.5 / 20)
    assert score_of(parts) == pytest.approx(40)


def test_nobody_who_did_nothing_has_a_score() -> None:
    parts = score_parts(BUILT_IN, history(), [], day(0))
    assert score_of(parts) == 0
    assert all(part.last_day is None for part in parts)


@given(st.lists(st.integers(0, 900)), st.lists(st.integers(0, 900)), st.integers(0, 900))
def test_scores_are_from_0_to_100(orders: list[int], badges: list[int], today: int) -> None:
    parts = score_parts(TERMS, on_days(orders), map(day, badges), day(today))
    assert 0 <= score_of(parts) <= 100


def test_all_that_counts_today_is_100() -> None:
    parts = score_parts(TERMS, on_days([0] * 9), [day(0)] * 3, day(0))
    assert score_of(parts) == 100
