"""Taking transactions back, in whole or in part."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import attrs

from actors.points.checks import (
    check_amount,
    check_available,
    check_room,
    conflict,
    not_found,
)
from actors.points.ledger import (
    ADJUSTMENT,
    ISSUANCE,
    KIND_ADJUST,
    KIND_CAPTURE,
    KIND_EARN,
    KIND_MATURE,
    KIND_PENDING_EARN,
    KIND_REDEEM,
    KIND_REVERSAL,
    MEMBER,
    PENDING,
    REDEMPTION,
    LotMovement,
    Posted,
    Posting,
    Transaction,
)
from actors.points.lots import consume, restore
from actors.points.messages import Reverse
from actors.points.posting import Moment, overdraft_filled, post
from actors.points.state import AccountState

COUNTERPARTS = {
    KIND_EARN: ISSUANCE,
    KIND_PENDING_EARN: ISSUANCE,
    KIND_REDEEM: REDEMPTION,
    KIND_CAPTURE: REDEMPTION,
    KIND_ADJUST: ADJUSTMENT,
}
"""Kinds that can be reversed, with the account that the points came from or went to."""


@attrs.frozen
class Original:
    """A transaction that may be reversed. `amount` is positive, `credit` says which way it went.

    `taken` are the lots a debit came from, `restored` what reversals gave back to each of them,
    `reversed_amount` what all reversals so far took back.
    """

    transaction_id: str
    kind: str
    amount: int
    credit: bool
    order_id: str | None
    taken: tuple[LotMovement, ...]
    restored: Mapping[str, int]
    reversed_amount: int

    @property
    def left(self) -> int:
        return self.amount - self.reversed_amount


def root_of(transaction: Transaction) -> str:
    """The id whose reversals count together: pending points and their maturity are one."""
    if transaction.kind == KIND_MATURE and transaction.lot_id is not None:
        return transaction.lot_id
    return transaction.transaction_id


def original_of(transaction: Transaction, reversals: Iterable[Transaction]) -> Original:
    """What a reversal needs to know of a transaction and of its earlier reversals."""
    restored: dict[str, int] = {}
    reversed_amount = 0
    for reversal in reversals:
        reversed_amount += abs(reversal.amount)
        for movement in reversal.movements:
            if movement.points > 0:
                restored[movement.lot_id] = restored.get(movement.lot_id, 0) + movement.points
    return Original(
        transaction.transaction_id,
        transaction.kind,
        abs(transaction.amount),
        _is_credit(transaction),
        transaction.order_id,
        tuple(movement for movement in transaction.movements if movement.points < 0),
        restored,
        reversed_amount,
    )


def _is_credit(transaction: Transaction) -> bool:
    return transaction.kind != KIND_CAPTURE and transaction.amount > 0


class _Effect(NamedTuple):
    """What a reversal does to the member: signed amount, account, and its lots."""

    amount: int
    account: str
    movements: tuple[LotMovement, ...]
    opened: int


def post_reversal(
    state: AccountState,
    reverse: Reverse,
    original: Original | None,
    moment: Moment,
    *,
    allow_negative: bool,
) -> Posted:
    """The reversal that `reverse` asks for; raises `Refused`."""
    if original is None:
        detail = f"there is no transaction {reverse.transaction_id}"
        raise not_found("transaction_unknown", detail)
    amount = _amount(reverse, original)
    effect = _effect(state, original, amount, allow_negative=allow_negative)
    transaction_id = moment.new_id("tx")
    counterpart = COUNTERPARTS[original.kind]
    postings = (Posting(counterpart, -effect.amount), Posting(effect.account, effect.amount))
    return post(
        state,
        transaction_id,
        moment.now,
        kind=KIND_REVERSAL,
        amount=effect.amount,
        reason=reverse.reason,
        effective_at=moment.now,
        postings=tuple(sorted(postings)),
        lot_id=transaction_id if effect.opened else None,
        lot_amount=effect.opened or None,
        movements=effect.movements,
        order_id=original.order_id,
        reverses=original.transaction_id,
        idempotency_key=reverse.idempotency.key,
    )


def _amount(reverse: Reverse, original: Original) -> int:
    if original.kind not in COUNTERPARTS:
        raise conflict("not_reversible", f"a transaction of kind {original.kind} stays")
    if original.left == 0:
        raise conflict("already_reversed", "nothing is left of the transaction")
    amount = original.left if reverse.amount is None else reverse.amount
    check_amount(amount)
    if amount > original.left:
        detail = f"{amount} points asked, {original.left} left of the transaction"
        raise conflict("exceeds_original", detail)
    return amount


def _effect(
    state: AccountState, original: Original, amount: int, *, allow_negative: bool
) -> _Effect:
    if not original.credit:
        check_room(state, amount)
        return _give_back(state, original, amount)
    if original.transaction_id in state.promises:
        return _Effect(-amount, PENDING, (), 0)
    check_available(state, amount, allow_negative=allow_negative)
    movements = consume(state.lots, amount, first=original.transaction_id)
    return _Effect(-amount, MEMBER, movements, 0)


def _give_back(state: AccountState, original: Original, amount: int) -> _Effect:
    """To the lots it came from; what came from none, below zero, opens a lot of its own."""
    into_lots = amount - overdraft_filled(state, amount)
    movements = restore(original.taken, original.restored, into_lots)
    opened = into_lots - sum(movement.points for movement in movements)
    return _Effect(amount, MEMBER, movements, opened)
