"""How an account's state follows from its transactions."""

import attrs

from actors.points.errors import LedgerCorrupt
from actors.points.ledger import (
    HOLD_ENDS,
    KIND_HOLD,
    KIND_MATURE,
    KIND_PENDING_EARN,
    KIND_REVERSAL,
    PENDING,
    Posted,
    Transaction,
)
from actors.points.lots import insert, move
from actors.points.state import AccountState, Hold, Holds, Lot, Promise, Promises


def evolve(state: AccountState, event: Posted) -> AccountState:
    """The state after one more transaction.

    Raises `LedgerCorrupt` when the transaction cannot follow this state.
    """
    transaction = event.transaction
    if transaction.sequence != state.sequence + 1 or event.previous_hash != state.head:
        raise LedgerCorrupt(
            f"transaction {transaction.sequence} does not follow {state.sequence} in the chain"
        )
    return AccountState(
        state.merchant_id,
        state.customer_id,
        state.asset,
        transaction.sequence,
        transaction.member,
        transaction.hold,
        transaction.pending,
        _lots(state.lots, transaction),
        _holds(state.holds, transaction),
        _promises(state.promises, transaction),
        event.hash,
        transaction.recorded_at,
    )


def _lots(lots: tuple[Lot, ...], transaction: Transaction) -> tuple[Lot, ...]:
    lot_id, amount = transaction.lot_id, transaction.lot_amount
    if lot_id is not None and amount is not None:
        lots = insert(lots, Lot(lot_id, amount, transaction.expires_at, transaction.sequence))
    if transaction.movements:
        lots = move(lots, transaction.movements)
    return lots


def _holds(holds: Holds, transaction: Transaction) -> Holds:
    hold_id, kind = transaction.hold_id, transaction.kind
    if hold_id is None:
        return holds
    if kind == KIND_HOLD and transaction.expires_at is not None:
        return {**holds, hold_id: Hold(hold_id, transaction.amount, transaction.expires_at)}
    if kind in HOLD_ENDS and hold_id in holds:
        return {key: hold for key, hold in holds.items() if key != hold_id}
    raise LedgerCorrupt(f"{kind} of hold {hold_id}, which is not active")


def _promises(promises: Promises, transaction: Transaction) -> Promises:
    kind = transaction.kind
    if kind == KIND_PENDING_EARN:
        return _with_promise(promises, transaction)
    if kind == KIND_MATURE:
        return _without(promises, transaction.lot_id, transaction.amount)
    if kind == KIND_REVERSAL:
        withdrawn = -sum(points for account, points in transaction.postings if account == PENDING)
        return _without(promises, transaction.reverses, withdrawn) if withdrawn else promises
    return promises


def _with_promise(promises: Promises, transaction: Transaction) -> Promises:
    key, matures_at = transaction.transaction_id, transaction.matures_at
    if matures_at is None:
        raise LedgerCorrupt(f"pending points of {key} never mature")
    promise = Promise(key, transaction.amount, matures_at, transaction.expires_at)
    return {**promises, key: promise}


def _without(promises: Promises, key: str | None, points: int) -> Promises:
    promise = promises.get(key or "")
    if promise is None or promise.amount < points:
        raise LedgerCorrupt(f"{points} pending points of {key} are not there")
    rest = {other: kept for other, kept in promises.items() if other != key}
    if promise.amount > points:
        rest[promise.transaction_id] = attrs.evolve(promise, amount=promise.amount - points)
    return rest
