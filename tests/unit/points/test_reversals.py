"""Taking transactions back: whole, in parts, from and to lots."""

import pytest

from actors.points.ledger import Transaction
from tests.unit.points.account import Account, at


def lots(account: Account) -> list[tuple[str, int]]:
    return [(lot.lot_id, lot.remaining) for lot in account.state.lots]


def moved(entry: Transaction) -> list[tuple[str, int]]:
    return [(movement.lot_id, movement.points) for movement in entry.movements]


def test_a_cancelled_redemption_gives_points_back_to_their_lots_with_their_dates() -> None:
    account = Account()
    account.earn(5, expires=9)
    account.earn(5, expires=3)
    before = account.state.lots
    redemption = account.redeem(8)
    account.commit()
    receipt = account.reverse(redemption)
    assert (receipt.amount, receipt.balance.posted) == (8, 10)
    assert account.state.lots == before


def test_partial_reversals_add_up_to_the_original() -> None:
    account = Account()
    account.earn(5, expires=9)
    account.earn(5, expires=3)
    before = account.state.lots
    redemption = account.redeem(10)
    for amount in (3, 3, 3):
        account.commit()
        assert account.reverse(redemption, amount).amount == 3
    account.commit()
    assert account.refused(account.reversal(redemption, 2)) == "exceeds_original"
    assert account.reverse(redemption).amount == 1
    assert account.state.lots == before
    account.commit()
    assert account.refused(account.reversal(redemption)) == "already_reversed"


def test_a_partial_reversal_fills_the_lot_that_was_taken_last() -> None:
    account = Account()
    account.earn(5, expires=3)
    late = account.earn(5, expires=9)
    redemption = account.redeem(8)
    account.commit()
    account.reverse(redemption, 2)
    assert lots(account) == [(late.transaction_id, 4)]


def test_two_reversals_of_one_batch_count_together() -> None:
    account = Account()
    account.earn(10)
    redemption = account.redeem(8)
    account.commit()
    account.reverse(redemption, 5)
    assert account.refused(account.reversal(redemption, 4)) == "exceeds_original"
    assert account.reverse(redemption, 3).balance.posted == 10
    assert account.refused(account.reversal(redemption)) == "already_reversed"


def test_points_that_come_back_to_a_lot_that_ended_expire_at_once() -> None:
    account = Account()
    account.earn(10, expires=5)
    redemption = account.redeem(10)
    account.wait(8)
    receipt = account.reverse(redemption)
    assert (receipt.kind, receipt.amount, receipt.balance.posted) == ("reversal", 10, 0)
    assert (account.last.kind, account.last.amount) == ("expiry", -10)
    assert account.last.effective_at == at(8)


def test_an_earning_is_taken_back_out_of_its_own_lot() -> None:
    account = Account()
    account.earn(10, expires=3)
    earning = account.earn(10)
    account.commit()
    account.reverse(earning, 4)
    assert moved(account.last) == [(earning.transaction_id, -4)]
    assert account.state.posted == 16


def test_an_earning_that_was_spent_is_taken_back_out_of_what_else_is_there() -> None:
    account = Account()
    spent = account.earn(10, expires=3)
    account.redeem(7)
    other = account.earn(20)
    account.commit()
    account.reverse(spent)
    assert moved(account.last) == [(spent.transaction_id, -3), (other.transaction_id, -7)]
    assert account.state.posted == 13


def test_an_earning_that_was_spent_is_not_taken_back_below_zero() -> None:
    account = Account()
    spent = account.earn(10)
    account.redeem(7)
    account.commit()
    assert account.refused(account.reversal(spent)) == "insufficient_points"
    assert account.reverse(spent, 3).balance.posted == 0


def test_held_points_are_not_taken_back() -> None:
    account = Account()
    earning = account.earn(10)
    hold = account.hold(10)
    account.commit()
    assert account.refused(account.reversal(earning)) == "insufficient_points"
    account.void(hold)
    account.reverse(earning)


def test_a_capture_is_taken_back_like_a_redemption() -> None:
    account = Account()
    account.earn(10, expires=9)
    capture = account.capture(account.hold(8), 6)
    account.commit()
    assert account.refused(account.reversal(capture, 7)) == "exceeds_original"
    receipt = account.reverse(capture)
    assert (receipt.amount, receipt.balance.posted) == (6, 10)
    assert account.state.lots[0].expires_at == at(9)


@pytest.mark.parametrize("amount", [7, -7])
def test_an_adjustment_is_taken_back(amount: int) -> None:
    account = Account()
    account.earn(10)
    adjustment = account.adjust(amount)
    account.commit()
    assert account.reverse(adjustment).amount == -amount
    assert account.state.posted == 10
    assert dict(account.last.postings) == {"adjustment": amount, "member": -amount}


def test_a_reversal_names_what_it_reverses_and_its_order() -> None:
    account = Account()
    earning = account.earn_for_order(1_000, order_id="order-7")
    account.commit()
    account.reverse(earning)
    assert account.last.reverses == earning.transaction_id
    assert account.last.order_id == "order-7"


def test_what_cannot_be_taken_back() -> None:
    account = Account()
    earning = account.earn(10, expires=9)
    voided = account.hold(1)
    void = account.void(voided)
    account.hold(1, expires=2)
    account.commit()
    reversal = account.reverse(earning, 1)
    account.wait(20)
    account.settle()
    account.commit()
    (expiry,) = account.of_kind("expiry")
    (hold_expiry,) = account.of_kind("hold_expiry")
    for receipt in (voided, void, reversal):
        assert account.refused(account.reversal(receipt)) == "not_reversible"
    for entry in (expiry, hold_expiry):
        again = account.reversal(voided)
        named = type(again)(idempotency=again.idempotency, transaction_id=entry.transaction_id)
        assert account.refused(named) == "not_reversible"
