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
from actors.points.messages import CancelRedemption, Reverse
from actors.points.posting import Moment, overdraft_filled, post
from actors.points.program_messages import RefundPolicy
from actors.points.rewards import cancel_key
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
    refunds: RefundPolicy,
) -> Posted:
    """The reversal that `reverse` asks for; raises `Refused`."""
    if original is None:
        detail = f"there is no transaction {reverse.transaction_id}"
        raise not_found("transaction_unknown", detail)
    amount = _amount(reverse, original)
    effect = _effect(state, original, amount, refunds)
    return _post(state, original, effect, COUNTERPARTS[original.kind], reverse, moment)


def post_cancellation(
    state: AccountState, cancel: CancelRedemption, original: Original | None, moment: Moment
) -> Posted:
    """All of what a redemption cost, back to where it came from; raises `Refused`."""
    if original is None or original.left == 0:
        raise conflict("redemption_cancelled", "nothing is left of the redemption")
    check_room(state, original.left)
    effect = _give_back(state, original, original.left)
    key = cancel_key(cancel.redemption_id)
    return _post(state, original, effect, REDEMPTION, cancel, moment, business_key=key)


def _post(
    state: AccountState,
    original: Original,
    effect: _Effect,
    counterpart: str,
    mutation: Reverse | CancelRedemption,
    moment: Moment,
    *,
    business_key: str | None = None,
) -> Posted:
    transaction_id = moment.new_id("tx")
    postings = (Posting(counterpart, -effect.amount), Posting(effect.account, effect.amount))
    return post(
        state,
        transaction_id,
        moment.now,
        kind=KIND_REVERSAL,
        amount=effect.amount,
        reason=mutation.reason,
        effective_at=moment.now,
        postings=tuple(sorted(postings)),
        lot_id=transaction_id if effect.opened else None,
        lot_amount=effect.opened or None,
        movements=effect.movements,
        order_id=original.order_id,
        reverses=original.transaction_id,
        business_key=business_key,
        idempotency_key=mutation.idempotency.key,
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


def _effect(state: AccountState, original: Original, amount: int, refunds: RefundPolicy) -> _Effect:
    if not original.credit:
        check_room(state, amount)
        return _give_back(state, original, amount)
    if original.transaction_id in state.promises:
        return _Effect(-amount, PENDING, (), 0)
    if refunds is RefundPolicy.ONLY_PENDING:
        detail = "the merchant takes back pending points only; these are posted"
        raise conflict("refund_policy", detail)
    check_available(state, amount, allow_negative=refunds is RefundPolicy.UNLIMITED)
    movements = consume(state.lots, amount, first=original.transaction_id)
    return _Effect(-amount, MEMBER, movements, 0)


def _give_back(state: AccountState, original: Original, amount: int) -> _Effect:
    """To the lots it came from; what came from none, below zero, opens a lot of its own."""
    into_lots = amount - overdraft_filled(state, amount)
    movements = restore(original.taken, original.restored, into_lots)
    opened = into_lots - sum(movement.points for movement in movements)
    return _Effect(amount, MEMBER, movements, opened)
