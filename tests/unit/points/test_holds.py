"""Holds: set aside, then captured, voided or expired."""

from tests.unit.points.account import Account


def test_held_points_are_posted_but_not_available() -> None:
    account = Account()
    account.earn(10)
    balance = account.hold(6).balance
    assert (balance.posted, balance.held, balance.available) == (10, 6, 4)
    assert account.refused(account.redeeming(5)) == "insufficient_points"


def test_holds_add_up() -> None:
    account = Account()
    account.earn(10)
    first, second = account.hold(4), account.hold(6)
    assert account.void(first).balance.held == 6
    assert account.capture(second).balance.held == 0
    assert account.state.posted == 4


def test_capturing_part_of_a_hold_returns_the_rest() -> None:
    account = Account()
    account.earn(10)
    receipt = account.capture(account.hold(6), 2)
    assert (receipt.amount, receipt.balance.posted, receipt.balance.available) == (2, 8, 8)


def test_capturing_takes_the_points_that_are_next_then() -> None:
    account = Account()
    account.earn(10)
    hold = account.hold(6)
    sooner = account.earn(4, expires=5)
    account.capture(hold)
    assert account.last.movements[0].lot_id == sooner.transaction_id


def test_a_hold_expires_at_its_time_exactly() -> None:
    account = Account()
    account.earn(10)
    first, second = account.hold(3, expires=5), account.hold(3, expires=5)
    account.wait(4.999)
    account.capture(first)
    account.wait(0.001)
    assert account.refused(account.capturing(second)) == "hold_ended"
    account.settle()
    assert account.state.balance.available == 7


def test_a_hold_ends_once() -> None:
    account = Account()
    account.earn(10)
    voided, captured = account.hold(3), account.hold(3)
    account.void(voided)
    account.capture(captured, 1)
    for hold in (voided, captured):
        assert account.refused(account.capturing(hold)) == "hold_ended"
        assert account.refused(account.voiding(hold)) == "hold_ended"


def test_a_hold_that_ended_long_ago_is_known() -> None:
    account = Account()
    account.earn(10)
    hold = account.hold(3)
    account.void(hold)
    account.wait(1)
    assert account.refused(account.voiding(hold)) == "hold_ended"
