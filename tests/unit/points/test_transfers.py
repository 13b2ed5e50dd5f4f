"""Transfers between two accounts that have been through anything: conserved, dated, sealed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.points.ledger import Transaction
from actors.points.messages import AccountKey, Transfer, TransferReceipt
from actors.points.posting import Moment
from actors.points.settle import settle
from actors.points.state import AccountState, Lot, empty
from actors.points.transfers import decide_transfer
from actors.vocabulary import Idempotency
from tests.unit.points.account import Account, replay
from tests.unit.points.sequences import Step, run, sequences
from tests.unit.points.test_invariants import THOROUGHLY


def giver_and_taker(giving: list[Step], taking: list[Step]) -> tuple[Account, Account]:
    return run(giving).account, run(taking, AccountKey("merchant", "other")).account


def dated(lots: tuple[Lot, ...]) -> dict[object, int]:
    points: dict[object, int] = {}
    for lot in lots:
        points[lot.expires_at] = points.get(lot.expires_at, 0) + lot.remaining
    return points


def taken_back(before: AccountState, after: AccountState) -> dict[object, int]:
    """By date, how much more `after` has in lots."""
    old, new = dated(before.lots), dated(after.lots)
    difference = {date: new.get(date, 0) - old.get(date, 0) for date in {*old, *new}}
    return {date: points for date, points in difference.items() if points}


@settings(THOROUGHLY, max_examples=30)
@given(sequences(), sequences(), st.integers(1, 80))
def test_what_one_gives_the_other_gets_with_its_dates(
    giving: list[Step], taking: list[Step], amount: int
) -> None:
    giver, taker = giver_and_taker(giving, taking)
    now = max(giver.now, taker.now)
    numbers = iter(range(10**6))
    moment = Moment(now, lambda prefix: f"{prefix}-new-{next(numbers)}")
    _, before = settle(giver.state, moment)
    _, other_before = settle(taker.state, moment)
    transfer = Transfer(
        idempotency=Idempotency("key", "print"),
        from_customer_id=before.customer_id,
        to_customer_id="other",
        amount=amount,
    )
    decision = decide_transfer(giver.state, taker.state, transfer, moment)
    source, target = decision.source, decision.target
    assert isinstance(decision.reply, TransferReceipt) is (amount <= before.member)
    if not isinstance(decision.reply, TransferReceipt):
        assert (source.events, target.events) == ((), ())
        assert (source.state, target.state) == (giver.state, taker.state)
        return
    entries = [posted.transaction for posted in (*source.events, *target.events)]
    for entry in entries:
        assert sum(points for _, points in entry.postings) == 0
    parts = [entry for entry in entries if entry.kind.startswith("transfer")]
    assert sum(_between(part) for part in parts) == 0
    assert sum(part.amount for part in parts if part.amount > 0) == amount
    assert len({part.business_key for part in parts}) == len(parts)
    for side, state in ((source, giver.state), (target, taker.state)):
        assert replay(state, side.events) == side.state
        lots = sum(lot.remaining for lot in side.state.lots)
        assert lots == max(0, side.state.posted)
    expired = sum(-entry.amount for entry in entries if entry.kind == "expiry")
    matured = sum(entry.amount for entry in entries if entry.kind == "mature")
    all_of_it = giver.state.posted + taker.state.posted + matured - expired
    assert source.state.posted + target.state.posted == all_of_it
    if before.hold == other_before.hold == 0 and other_before.posted >= 0:
        gone = {date: -points for date, points in taken_back(before, source.state).items()}
        assert taken_back(other_before, target.state) == gone


def _between(part: Transaction) -> int:
    return sum(points for account, points in part.postings if account == "transfer")


def test_an_overdraft_of_the_taker_is_filled_first() -> None:
    giver, taker = Account(), Account(state=empty(AccountKey("merchant", "other")))
    giver.earn(50)
    taker.earn(1)
    taker.overdraw(taker.redeeming(21))
    transfer = Transfer(
        idempotency=Idempotency("key", "print"),
        from_customer_id="customer",
        to_customer_id="other",
        amount=30,
    )
    moment = Moment(giver.now, lambda prefix: f"{prefix}-new")
    decision = decide_transfer(giver.state, taker.state, transfer, moment)
    assert decision.target.state.posted == 10
    assert [lot.remaining for lot in decision.target.state.lots] == [10]
