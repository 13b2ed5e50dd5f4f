"""Spending order, expiry, and what holds keep back."""

from actors.points.messages import Receipt
from actors.points.settle import next_due
from tests.unit.points.account import Account, at


def taken(account: Account) -> list[tuple[str, int]]:
    """From which lots the last transaction took how much."""
    return [(movement.lot_id, -movement.points) for movement in account.last.movements]


def name(receipt: Receipt) -> str:
    return receipt.transaction_id


def test_earliest_expiry_is_spent_first_and_undated_points_last() -> None:
    account = Account()
    undated, late, soon = account.earn(5), account.earn(5, expires=9), account.earn(5, expires=3)
    account.redeem(12)
    assert taken(account) == [(name(soon), 5), (name(late), 5), (name(undated), 2)]


def test_of_the_same_expiry_the_first_in_is_the_first_out() -> None:
    account = Account()
    first, second = account.earn(5, expires=9), account.earn(5, expires=9)
    account.redeem(6)
    assert taken(account) == [(name(first), 5), (name(second), 1)]


def test_points_end_at_their_time_and_not_before() -> None:
    account = Account()
    account.earn(10, expires=5)
    account.wait(4.999)
    assert account.settle() == 0
    account.wait(0.001)
    assert account.refused(account.redeeming(1)) == "insufficient_points"
    account.settle()
    assert (account.last.kind, account.last.amount) == ("expiry", -10)


def test_expiry_counts_from_when_it_was_due() -> None:
    account = Account()
    account.earn(10, expires=5)
    account.earn(10, expires=3)
    account.wait(24)
    assert account.settle() == 2
    assert [entry.effective_at for entry in account.of_kind("expiry")] == [at(3), at(5)]
    assert {entry.recorded_at for entry in account.of_kind("expiry")} == {at(24)}


def test_only_what_is_left_of_a_lot_expires() -> None:
    account = Account()
    account.earn(10, expires=5)
    account.redeem(7)
    account.wait(5)
    account.settle()
    assert (account.last.amount, account.state.posted) == (-3, 0)


def test_a_hold_keeps_points_from_expiring() -> None:
    account = Account()
    account.earn(10, expires=5)
    hold = account.hold(6, expires=20)
    account.wait(8)
    account.settle()
    assert (account.last.kind, account.last.amount) == ("expiry", -4)
    assert account.capture(hold).balance.posted == 0
    assert account.state.lots == ()


def test_what_a_hold_kept_back_expires_when_it_is_voided() -> None:
    account = Account()
    account.earn(10, expires=5)
    hold = account.hold(10, expires=20)
    account.wait(8)
    assert account.settle() == 0
    receipt = account.void(hold)
    assert (receipt.kind, receipt.amount, receipt.balance.posted) == ("void", 10, 0)
    assert (account.last.kind, account.last.amount) == ("expiry", -10)
    assert account.last.effective_at == at(8)


def test_what_a_partial_capture_returns_expires_if_its_time_has_passed() -> None:
    account = Account()
    account.earn(10, expires=5)
    hold = account.hold(10, expires=20)
    account.wait(8)
    receipt = account.capture(hold, 7)
    assert (receipt.amount, receipt.balance.posted) == (7, 0)
    assert [entry.kind for entry in account.transactions[-2:]] == ["capture", "expiry"]
    assert account.last.amount == -3


def test_what_a_hold_kept_back_expires_when_the_hold_does() -> None:
    account = Account()
    account.earn(10, expires=5)
    account.hold(10, expires=7)
    account.wait(30)
    assert account.settle() == 2
    assert [entry.kind for entry in account.transactions[-2:]] == ["hold_expiry", "expiry"]
    assert [entry.effective_at for entry in account.transactions[-2:]] == [at(7), at(7)]


def test_points_end_after_the_hold_that_ends_with_them() -> None:
    account = Account()
    account.earn(10, expires=5)
    account.hold(4, expires=5)
    account.wait(5)
    assert account.settle() == 2
    assert [entry.kind for entry in account.transactions[-2:]] == ["hold_expiry", "expiry"]
    assert account.last.amount == -10


def test_points_mature_before_a_hold_ends_in_the_same_instant() -> None:
    account = Account()
    account.earn(4)
    account.hold(4, expires=5)
    account.earn(10, pending=5)
    account.wait(5)
    account.settle()
    assert [entry.kind for entry in account.transactions[-2:]] == ["mature", "hold_expiry"]


def test_a_lot_expires_only_as_far_as_points_are_available() -> None:
    """A hold is a number of points, not a lot: undated points cover it as well."""
    account = Account()
    account.earn(8, expires=5)
    account.earn(3)
    hold = account.hold(5, expires=20)
    account.wait(6)
    account.settle()
    assert (account.last.amount, account.state.balance.available) == (-6, 0)
    assert account.capture(hold, 2).balance.posted == 3
    assert account.of_kind("expiry")[-1].amount == -6


def test_next_due_is_the_first_thing_that_time_alone_brings() -> None:
    account = Account()
    assert next_due(account.state) is None
    account.earn(4)
    assert next_due(account.state) is None
    account.earn(4, expires=9)
    account.earn(4, pending=7)
    hold = account.hold(2, expires=6)
    for hours in (6, 7, 9):
        due = next_due(account.state)
        assert due is not None
        assert due.at == at(hours)
        account.wait(hours - (account.now - at(0)).total_seconds() / 3600)
        account.settle()
    assert next_due(account.state) is None
    assert hold.hold_id not in account.state.holds


def test_nothing_is_due_while_every_point_that_ended_is_held() -> None:
    account = Account()
    account.earn(4, expires=5)
    account.hold(4, expires=50)
    account.wait(6)
    due = next_due(account.state)
    assert due is not None
    assert due.at == at(50)


def test_the_clock_may_step_back_but_recorded_time_does_not() -> None:
    account = Account()
    account.wait(5)
    account.earn(10, expires=9)
    account.wait(-2)
    receipt = account.redeem(3)
    assert receipt.recorded_at == at(5)
    assert account.last.effective_at == at(5)


def test_a_hold_that_expired_stays_so_when_the_clock_steps_back() -> None:
    account = Account()
    account.earn(10)
    hold = account.hold(10, expires=5)
    account.wait(6)
    account.settle()
    account.wait(-3)
    assert account.refused(account.capturing(hold)) == "hold_ended"
