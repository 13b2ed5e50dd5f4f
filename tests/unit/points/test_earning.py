"""Earning: by rule for an order, dated, and pending."""

from datetime import timedelta

import attrs
import pytest

from actors.points.messages import EarnRule, Reverse, SetEarnRule
from actors.points.rules import builtin_rule, next_rule, recomputed
from actors.vocabulary import MAX_AMOUNT, Refusal
from tests.unit.points.account import Account, at

HALF = EarnRule(4, "EUR", points=1, per_amount_minor=200, expires_after_days=None)
FOR_A_DAY = EarnRule(5, "EUR", points=1, per_amount_minor=100, expires_after_days=1)


@pytest.mark.parametrize(
    ("total_minor", "currency", "points"),
    [
        (100, "EUR", 1),
        (199, "EUR", 1),
        (99, "EUR", 0),
        (0, "EUR", 0),
        (12_345, "USD", 123),
        (1, "JPY", 1),
        (1_999, "JPY", 1_999),
        (999, "BHD", 0),
        (1_000, "BHD", 1),
        (20_000, "CLF", 2),
        (1, "CLP", 1),
    ],
)
def test_one_point_for_every_full_major_unit(total_minor: int, currency: str, points: int) -> None:
    receipt = Account().earn_for_order(total_minor, currency)
    assert receipt.amount == points


def test_points_are_rounded_down_for_each_order_by_itself() -> None:
    account = Account()
    account.earn_for_order(199, order_id="first")
    account.earn_for_order(199, order_id="second")
    assert account.state.posted == 2


def test_steps_are_rounded_before_they_are_multiplied() -> None:
    triple = EarnRule(6, "EUR", points=3, per_amount_minor=100, expires_after_days=None)
    assert Account().earn_for_order(199, rule=triple).amount == 3


def test_the_entry_of_an_order_explains_itself() -> None:
    account = Account()
    receipt = account.earn_for_order(999, rule=HALF)
    use = account.last.rule
    assert use is not None
    assert (use.version, use.total_minor, use.points, use.per_amount_minor) == (4, 999, 1, 200)
    assert use.rounding == "down_per_order"
    assert recomputed(use) == receipt.amount == 4


def test_an_order_that_earns_nothing_writes_nothing() -> None:
    account = Account()
    receipt = account.earn_for_order(50)
    assert (receipt.kind, receipt.transaction_id) == ("nothing", "")
    assert account.ledger == []


def test_the_balance_of_an_order_that_earns_nothing_is_as_if_settled() -> None:
    account = Account()
    account.earn(10, expires=1)
    account.wait(2)
    assert account.earn_for_order(50).balance.posted == 0


def test_an_order_earns_once_whatever_it_says_the_second_time() -> None:
    account = Account()
    first = account.earn_for_order(500)
    again = account.earn_for_order(900)
    assert (again.transaction_id, again.amount, again.replayed) == (first.transaction_id, 5, True)


def test_points_of_an_order_are_dated_by_it() -> None:
    account = Account()
    account.wait(12)
    account.earn_for_order(500, rule=FOR_A_DAY, ordered=2)
    assert account.last.effective_at == at(2)
    assert account.last.recorded_at == at(12)
    assert account.last.expires_at == at(26)


def test_points_of_an_order_that_is_old_enough_expire_at_once() -> None:
    account = Account()
    receipt = account.earn_for_order(500, rule=FOR_A_DAY, ordered=-30)
    assert (receipt.kind, receipt.amount, receipt.balance.posted) == ("earn", 5, 0)
    assert account.last.kind == "expiry"
    assert account.last.effective_at == at(-6)


def test_an_order_from_the_future_counts_from_now() -> None:
    account = Account()
    account.earn_for_order(500, rule=FOR_A_DAY, ordered=100)
    assert account.last.effective_at == at(0)
    assert account.last.expires_at == at(24)


def test_an_earning_may_be_effective_earlier_than_recorded() -> None:
    account = Account()
    account.wait(5)
    account.earn(10, effective=1)
    assert (account.last.effective_at, account.last.recorded_at) == (at(1), at(5))


def test_pending_points_are_not_posted_before_they_mature() -> None:
    account = Account()
    receipt = account.earn(10, pending=5)
    assert (receipt.balance.posted, receipt.balance.pending) == (0, 10)
    account.wait(4.99)
    assert account.settle() == 0
    assert account.refused(account.redeeming(1)) == "insufficient_points"


def test_pending_points_mature_on_time_however_late_that_is_posted() -> None:
    account = Account()
    account.earn(10, pending=5, expires=9)
    account.wait(7)
    assert account.redeem(10).balance.posted == 0
    (mature,) = account.of_kind("mature")
    assert (mature.effective_at, mature.recorded_at) == (at(5), at(7))
    assert mature.expires_at == at(9)


def test_pending_points_that_matured_and_ended_meanwhile_do_both() -> None:
    account = Account()
    account.earn(10, pending=5, expires=9)
    account.wait(20)
    assert account.settle() == 2
    assert [entry.kind for entry in account.transactions] == ["pending_earn", "mature", "expiry"]
    assert [entry.effective_at for entry in account.transactions] == [at(0), at(5), at(9)]
    assert account.state.posted == 0


def test_pending_points_that_are_taken_back_in_part_mature_to_the_rest() -> None:
    account = Account()
    pending = account.earn(10, pending=5)
    account.commit()
    receipt = account.reverse(pending, 4)
    assert (receipt.amount, receipt.balance.pending, receipt.balance.posted) == (-4, 6, 0)
    account.wait(5)
    account.settle()
    assert (account.state.posted, account.state.pending) == (6, 0)


def test_pending_points_that_are_taken_back_never_mature() -> None:
    account = Account()
    pending = account.earn(10, pending=5)
    account.commit()
    account.reverse(pending)
    account.wait(6)
    assert account.settle() == 0
    assert account.state.balance.posted == account.state.balance.pending == 0


def test_pending_points_are_taken_back_after_they_matured() -> None:
    """By the id of the earning and by that of the maturity, which count together."""
    account = Account()
    pending = account.earn(10, pending=5)
    account.commit()
    account.reverse(pending, 1)
    account.wait(6)
    account.reverse(pending, 2)
    account.commit()
    (mature,) = account.of_kind("mature")
    assert (mature.amount, account.state.posted) == (9, 7)
    by_maturity = Reverse(
        idempotency=account.once(), transaction_id=mature.transaction_id, amount=8
    )
    assert account.refused(by_maturity) == "exceeds_original"
    assert account.done(attrs.evolve(by_maturity, amount=7)).balance.posted == 0
    account.commit()
    assert account.refused(account.reversal(pending)) == "already_reversed"


def test_the_next_version_of_a_rule_leaves_the_one_before() -> None:
    rule = builtin_rule("EUR")
    wanted = SetEarnRule("merchant", "EUR", points=2, per_amount_minor=100)
    second = next_rule(rule, wanted)
    assert isinstance(second, EarnRule)
    assert (rule.version, second.version, second.points) == (0, 1, 2)
    assert next_rule(second, wanted) is second


@pytest.mark.parametrize(
    ("points", "per_amount_minor", "days"),
    [
        (-1, 100, None),
        (10**6 + 1, 100, None),
        (1, 0, None),
        (1, MAX_AMOUNT + 1, None),
        (1, 100, 0),
        (1, 100, 36_501),
    ],
)
def test_a_rule_out_of_range_is_refused(
    points: int, per_amount_minor: int, days: int | None
) -> None:
    wanted = SetEarnRule("merchant", "EUR", points, per_amount_minor, days)
    refusal = next_rule(builtin_rule("EUR"), wanted)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "invalid_earn_rule"


def test_a_rule_s_days_are_days() -> None:
    account = Account()
    account.earn_for_order(500, rule=EarnRule(1, "EUR", 1, 100, 30))
    assert account.last.expires_at == at(0) + timedelta(days=30)
