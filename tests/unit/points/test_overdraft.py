"""Below zero, where the refund policy allows it: later credits fill that first."""

from actors.points.messages import Adjust, Reverse
from tests.unit.points.account import Account


def overdrawn(points: int) -> Account:
    """An account so many points below zero."""
    account = Account()
    account.overdrawn(account.redeeming(points))
    return account


def test_a_debit_below_zero_takes_what_lots_there_are() -> None:
    account = Account()
    earning = account.earn(4)
    receipt = account.overdrawn(account.redeeming(10))
    assert (receipt.amount, receipt.balance.posted) == (-10, -6)
    assert [(m.lot_id, m.points) for m in account.last.movements] == [(earning.transaction_id, -4)]
    assert account.state.lots == ()


def test_later_credits_fill_the_overdraft_first() -> None:
    account = overdrawn(10)
    assert account.earn(6).balance.posted == -4
    assert not account.state.lots
    later = account.earn(6, expires=9)
    assert account.state.posted == 2
    (lot,) = account.state.lots
    assert (lot.lot_id, lot.remaining) == (later.transaction_id, 2)


def test_pending_points_fill_it_when_they_mature() -> None:
    account = overdrawn(10)
    assert account.earn(12, pending=5).balance.posted == -10
    account.wait(5)
    account.settle()
    assert account.state.posted == sum(lot.remaining for lot in account.state.lots) == 2


def test_points_that_filled_an_overdraft_do_not_expire() -> None:
    account = overdrawn(10)
    account.earn(12, expires=5)
    account.wait(6)
    account.settle()
    assert (account.last.kind, account.last.amount, account.state.posted) == ("expiry", -2, 0)


def test_nothing_can_be_spent_or_held_while_it_is_below_zero() -> None:
    account = overdrawn(10)
    assert account.refused(account.redeeming(1)) == "insufficient_points"
    account.earn(10)
    assert account.refused(account.redeeming(1)) == "insufficient_points"


def test_an_earning_is_taken_back_below_zero_and_earned_again() -> None:
    account = Account()
    earning = account.earn(10)
    account.redeem(7)
    account.commit()
    taken_back = Reverse(idempotency=account.once(), transaction_id=earning.transaction_id)
    assert account.overdrawn(taken_back).balance.posted == -7
    assert account.earn(10).balance.posted == 3


def test_a_redemption_that_went_below_zero_is_taken_back_without_a_new_lot() -> None:
    account = Account()
    account.earn(4, expires=9)
    before = account.state.lots
    redemption = account.overdrawn(account.redeeming(10))
    account.reverse(redemption)
    assert account.state.lots == before
    assert account.last.lot_id is None


def test_points_that_came_from_no_lot_come_back_as_an_undated_one() -> None:
    account = Account()
    account.earn(4, expires=9)
    redemption = account.overdrawn(account.redeeming(10))
    account.earn(6, expires=9)
    receipt = account.reverse(redemption)
    assert receipt.balance.posted == 10
    dated, undated = account.state.lots
    assert (dated.remaining, undated.remaining) == (4, 6)
    assert undated.lot_id == receipt.transaction_id
    assert undated.expires_at is None


def test_a_negative_adjustment_may_go_below_zero_too() -> None:
    account = Account()
    adjust = Adjust(idempotency=account.once(), amount=-5, reason="fraud")
    assert account.refused(adjust) == "insufficient_points"
    assert account.overdrawn(adjust).balance.available == -5


def test_a_hold_outlives_an_overdraft() -> None:
    account = Account()
    account.earn(10, expires=5)
    hold = account.hold(6)
    assert account.overdrawn(account.redeeming(8)).balance.available == -4
    assert (account.state.posted, account.state.lots[0].remaining) == (2, 2)
    assert account.capture(hold).balance.posted == -4
    assert account.state.lots == ()
