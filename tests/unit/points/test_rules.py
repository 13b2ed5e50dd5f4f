"""Earn rules: multipliers and roundings, and what an entry keeps of them."""

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.points.ledger import MultipliedRuleUse, RuleUse
from actors.points.messages import EarnForOrder, EarnRule, Rounding, SetEarnRule
from actors.points.records import rule_use_of
from actors.points.rules import next_rule, points_for, recomputed, rule_use
from actors.vocabulary import Refusal
from tests.unit.points.account import START, Account
from tests.unit.points.test_invariants import THOROUGHLY

PLAIN = EarnRule(1, "EUR", 3, 200, None)


@pytest.mark.parametrize(
    ("rounding", "percent", "points"),
    [
        (Rounding.DOWN_PER_ORDER, 100, 6),
        (Rounding.DOWN_PER_ORDER, 125, 7),
        (Rounding.HALF_UP, 100, 8),
        (Rounding.HALF_UP, 125, 9),
        (Rounding.UP, 100, 8),
        (Rounding.UP, 125, 10),
    ],
)
def test_points_are_rounded_once_per_order(rounding: Rounding, percent: int, points: int) -> None:
    """3 points for 2.00, of 5.00: two full steps, or two and a half."""
    rule = attrs.evolve(PLAIN, rounding=rounding, multiplier_percent=percent)
    assert points_for(rule, 500) == points


@THOROUGHLY
@given(
    st.integers(0, 10**6),
    st.integers(0, 50),
    st.integers(1, 999),
    st.integers(1, 10_000),
    st.sampled_from(Rounding),
)
def test_what_an_entry_keeps_makes_its_points_again(
    total: int, points: int, step: int, percent: int, rounding: Rounding
) -> None:
    rule = EarnRule(4, "EUR", points, step, None, percent, rounding)
    order = EarnForOrder(order_id="1", total_minor=total, currency="EUR", ordered_at=START)
    use = rule_use(rule, order)
    stored = rule_use_of(msgspec.json.decode(msgspec.json.encode(use)))
    assert stored == use
    assert recomputed(stored) == points_for(rule, total) >= 0
    exact = total * points * percent / (step * 100)
    if rounding is not Rounding.DOWN_PER_ORDER:
        assert abs(points_for(rule, total) - exact) < 1
    else:
        assert points_for(rule, total) <= exact


def test_an_entry_without_a_multiplier_is_sealed_as_it_always_was() -> None:
    account = Account()
    account.earn_for_order(1_000, rule=PLAIN)
    assert account.last.rule == RuleUse(1, "EUR", 1_000, 3, 200, "down_per_order")
    assert len(msgspec.to_builtins(account.last.rule)) == 6
    account.earn_for_order(1_000, order_id="2", rule=attrs.evolve(PLAIN, multiplier_percent=200))
    assert isinstance(account.last.rule, MultipliedRuleUse)
    assert account.last.amount == 30


def test_the_next_version_is_new_terms_only() -> None:
    same = SetEarnRule("shop", "EUR", 3, 200)
    assert next_rule(PLAIN, same) is PLAIN
    doubled = next_rule(PLAIN, attrs.evolve(same, multiplier_percent=200))
    assert doubled == attrs.evolve(PLAIN, version=2, multiplier_percent=200)
    for wrong in (0, 10_001):
        assert isinstance(next_rule(PLAIN, attrs.evolve(same, multiplier_percent=wrong)), Refusal)
