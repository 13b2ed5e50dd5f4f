"""The chain: what one changed field, one lost or one swapped transaction does to it."""

from datetime import datetime, timedelta
from hashlib import sha256

import msgspec
import pytest

from actors.points.errors import LedgerCorrupt
from actors.points.evolve import evolve
from actors.points.ledger import (
    GENESIS,
    LotMovement,
    Posted,
    Posting,
    RuleUse,
    Transaction,
    seal,
)
from actors.points.state import empty
from tests.unit.points.account import KEY, Account, at, replay

FULL = Transaction(
    merchant_id="merchant",
    customer_id="customer",
    asset="points",
    sequence=1,
    transaction_id="tx-1",
    kind="earn",
    amount=5,
    reason="order",
    effective_at=at(0),
    recorded_at=at(1),
    postings=(Posting("issuance", -5), Posting("member", 5)),
    member=5,
    hold=0,
    pending=0,
    lot_id="tx-1",
    lot_amount=5,
    movements=(LotMovement("tx-0", -1, at(9), 1),),
    expires_at=at(9),
    matures_at=at(8),
    hold_id="hold",
    order_id="order",
    reverses="tx-0",
    business_key="order:order:earn:0",
    idempotency_key="key",
    rule=RuleUse(1, "EUR", 500, 1, 100, "down_per_order"),
)
SEALED = "69fe1ca5fc93b34b1fd70ecd8fa8f295293b337b665996e6a1f860349b81e0c5"
CHANGED: dict[str, object] = {
    "postings": (Posting("issuance", -6), Posting("member", 6)),
    "movements": (LotMovement("tx-0", -1, at(9.5), 1),),
    "rule": RuleUse(1, "EUR", 501, 1, 100, "down_per_order"),
}
OPTIONAL = Transaction.__struct_fields__[-len(Transaction.__struct_defaults__) :]


def other(value: object) -> object:
    """A value of the same type, a little different."""
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, datetime):
        return value + timedelta(microseconds=1)
    assert isinstance(value, int)
    return value + 1


@pytest.mark.parametrize("field", Transaction.__struct_fields__)
def test_another_value_in_any_field_changes_the_hash(field: str) -> None:
    value = CHANGED.get(field) or other(getattr(FULL, field))
    changed = msgspec.structs.replace(FULL, **{field: value})
    assert seal(GENESIS, changed) != seal(GENESIS, FULL)


@pytest.mark.parametrize("field", OPTIONAL)
def test_a_missing_value_changes_the_hash(field: str) -> None:
    changed = msgspec.structs.replace(FULL, **{field: () if field == "movements" else None})
    assert seal(GENESIS, changed) != seal(GENESIS, FULL)


def test_values_moved_to_the_next_field_change_the_hash() -> None:
    one = msgspec.structs.replace(FULL, order_id="same", reverses=None)
    two = msgspec.structs.replace(FULL, order_id=None, reverses="same")
    assert seal(GENESIS, one) != seal(GENESIS, two)


def test_what_it_is_chained_to_changes_the_hash() -> None:
    assert seal(sha256(b"").digest(), FULL) != seal(GENESIS, FULL)


def test_the_seal_of_a_transaction_is_the_same_after_a_journey() -> None:
    """Encoded, stored, and read back."""
    again = msgspec.json.decode(msgspec.json.encode(FULL), type=Transaction)
    assert again == FULL
    assert seal(GENESIS, again) == seal(GENESIS, FULL)


def test_seals_made_years_ago_verify_today() -> None:
    """Every chain that exists rests on how a transaction is encoded: it must not change."""
    assert seal(GENESIS, FULL).hex() == SEALED


@pytest.fixture
def ledger() -> list[Posted]:
    account = Account()
    account.earn(10)
    account.redeem(3)
    account.redeem(3)
    return account.ledger


def test_every_transaction_is_chained_to_the_one_before(ledger: list[Posted]) -> None:
    first, second, third = ledger
    assert first.previous_hash == GENESIS
    assert second.previous_hash == first.hash
    assert third.previous_hash == second.hash
    assert replay(empty(KEY), ledger).head == third.hash


def test_a_lost_transaction_is_noticed(ledger: list[Posted]) -> None:
    with pytest.raises(LedgerCorrupt, match="does not follow"):
        replay(empty(KEY), [ledger[0], ledger[2]])


def test_a_transaction_applied_twice_is_noticed(ledger: list[Posted]) -> None:
    with pytest.raises(LedgerCorrupt, match="does not follow"):
        replay(empty(KEY), [ledger[0], ledger[0]])


def test_a_transaction_of_another_history_is_noticed(ledger: list[Posted]) -> None:
    elsewhere = Account()
    elsewhere.earn(11)
    with pytest.raises(LedgerCorrupt, match="does not follow"):
        evolve(
            replay(empty(KEY), ledger[:1]),
            ledger[1]._replace(previous_hash=elsewhere.ledger[0].hash),
        )


def test_a_debit_of_more_than_a_lot_has_is_noticed(ledger: list[Posted]) -> None:
    first, second, _ = ledger
    (movement,) = second.transaction.movements
    forged = msgspec.structs.replace(second.transaction, movements=(movement._replace(points=-11),))
    with pytest.raises(LedgerCorrupt, match="would have -1 points"):
        replay(empty(KEY), [first, second._replace(transaction=forged)])


def test_the_end_of_a_hold_that_is_not_active_is_noticed() -> None:
    account = Account()
    account.earn(10)
    account.void(account.hold(4))
    *before, void = account.ledger
    forged = msgspec.structs.replace(void.transaction, hold_id="other")
    with pytest.raises(LedgerCorrupt, match="not active"):
        replay(empty(KEY), [*before, void._replace(transaction=forged)])


def test_the_maturity_of_points_that_are_not_pending_is_noticed() -> None:
    account = Account()
    account.earn(10, pending=1)
    account.wait(1)
    account.settle()
    pending, mature = account.ledger
    forged = msgspec.structs.replace(mature.transaction, amount=11)
    with pytest.raises(LedgerCorrupt, match="not there"):
        replay(empty(KEY), [pending, mature._replace(transaction=forged)])
