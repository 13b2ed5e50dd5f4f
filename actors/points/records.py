"""Between the points domain's values and its tables."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from actors.points.ledger import (
    HOLD_ENDS,
    KIND_HOLD,
    KIND_MATURE,
    KIND_PENDING_EARN,
    PENDING,
    TRANSFER_KINDS,
    LotMovement,
    MultipliedRuleUse,
    Posted,
    Posting,
    PromotedRuleUse,
    RuleUse,
    Transaction,
)
from actors.points.messages import INTAKE, Balance, Receipt, Transfer
from actors.points.plan import Answer, Key
from actors.points.promotion_records import use_writes
from actors.points.promotions import UseChange
from actors.points.queries import (
    END_HOLD,
    INSERT_HOLD,
    INSERT_LOT,
    INSERT_LOT_MOVEMENT,
    INSERT_PENDING,
    INSERT_POSTING,
    INSERT_TRANSACTION,
    INSERT_TRANSFER,
    INSERT_TRANSFER_PART,
    MOVE_LOT,
    PUT_ACCOUNT,
    REDUCE_PENDING,
)
from actors.points.reward_records import redemption_writes
from actors.points.rewards import RedemptionChange, redemption_of
from actors.points.settle import next_due
from actors.points.state import AccountState
from actors.points.transfers import TransferDecision
from actors.vocabulary import Refusal
from runtime.storage import Entry, Row, Write
from runtime.storage.idempotency import idempotency_write
from runtime.storage.inbox import inbox_write

RULE_USES = {
    len(kind.__struct_fields__): kind for kind in (RuleUse, MultipliedRuleUse, PromotedRuleUse)
}
"""By how much an entry keeps of its rule."""


def entry_of(
    state: AccountState,
    events: Sequence[Posted],
    answers: Mapping[Key, Answer],
    taken: Iterable[str] = (),
    changes: Iterable[RedemptionChange] = (),
    uses: Iterable[UseChange] = (),
) -> Entry:
    """Everything to be written for `events`, after which the account is in `state`.

    `taken` are the outbox events that they are the effect of, `changes` what they do to
    redemptions, `uses` what they take from the budgets of campaigns, or give back.
    """
    writes: list[Write] = []
    for event in events:
        _transaction_writes(writes, event)
    for key, answer in answers.items():
        if not key.business:
            writes.append(_key_write(state, key, answer))
    writes += [_inbox_write(state, event_id, events[-1]) for event_id in taken]
    for change in changes:
        writes += redemption_writes(state.merchant_id, change)
    for use in uses:
        writes += use_writes(state.merchant_id, state.customer_id, use)
    writes.append(_account_write(state))
    return tuple(writes)


def _account_write(state: AccountState) -> Write:
    due = next_due(state)
    return Write(
        PUT_ACCOUNT,
        (
            state.merchant_id,
            state.customer_id,
            state.asset,
            state.sequence,
            state.member,
            state.hold,
            state.pending,
            state.head.hex(),
            state.recorded_at,
            due.at if due is not None else None,
        ),
    )


def _inbox_write(state: AccountState, event_id: str, effect: Posted) -> Write:
    return inbox_write(
        merchant_id=state.merchant_id,
        consumer=INTAKE,
        event_id=event_id,
        recorded_at=effect.transaction.recorded_at,
    )


def _key_write(state: AccountState, key: Key, answer: Answer) -> Write:
    return idempotency_write(
        merchant_id=state.merchant_id,
        key=key.text,
        fingerprint=answer.fingerprint,
        response=msgspec.to_builtins(answer.receipt),
        created_at=answer.receipt.recorded_at,
    )


def _transaction_writes(writes: list[Write], event: Posted) -> None:
    t = event.transaction
    merchant_id, transaction_id = t.merchant_id, t.transaction_id
    writes.append(Write(INSERT_TRANSACTION, _transaction_row(event)))
    for account, points in t.postings:
        writes.append(Write(INSERT_POSTING, (merchant_id, transaction_id, account, points)))
    if t.lot_id is not None:
        writes.append(Write(INSERT_LOT, _lot_row(t)))
    for position, movement in enumerate(t.movements):
        lot_id, points = movement.lot_id, movement.points
        row = (merchant_id, transaction_id, lot_id, points, position)
        writes.append(Write(INSERT_LOT_MOVEMENT, row))
        writes.append(Write(MOVE_LOT, (merchant_id, lot_id, points)))
    if t.hold_id is not None:
        writes.append(_hold_write(t))
    _pending_writes(writes, t)


def _transaction_row(event: Posted) -> tuple[object, ...]:
    t = event.transaction
    return (
        t.merchant_id,
        t.transaction_id,
        t.customer_id,
        t.asset,
        t.sequence,
        t.kind,
        t.amount,
        t.reason,
        t.effective_at,
        t.recorded_at,
        t.member,
        t.hold,
        t.pending,
        t.lot_id,
        t.lot_amount,
        t.expires_at,
        t.matures_at,
        t.hold_id,
        t.order_id,
        t.reverses,
        t.business_key,
        t.idempotency_key,
        msgspec.to_builtins(t.rule) if t.rule is not None else None,
        event.hash.hex(),
    )


def _lot_row(t: Transaction) -> tuple[object, ...]:
    return (
        t.merchant_id,
        t.lot_id,
        t.customer_id,
        t.asset,
        t.transaction_id,
        t.sequence,
        t.lot_amount,
        t.effective_at,
        t.expires_at,
    )


def _hold_write(t: Transaction) -> Write:
    if t.kind in HOLD_ENDS:
        return Write(END_HOLD, (t.merchant_id, t.hold_id, t.transaction_id))
    row = (
        t.merchant_id,
        t.hold_id,
        t.customer_id,
        t.asset,
        t.amount,
        t.expires_at,
        t.transaction_id,
    )
    return Write(INSERT_HOLD, row)


def _pending_writes(writes: list[Write], t: Transaction) -> None:
    if t.kind == KIND_HOLD:
        return
    if t.kind == KIND_PENDING_EARN:
        row = (
            t.merchant_id,
            t.transaction_id,
            t.customer_id,
            t.asset,
            t.amount,
            t.matures_at,
            t.expires_at,
        )
        writes.append(Write(INSERT_PENDING, row))
        return
    gone = -sum([points for account, points in t.postings if account == PENDING])
    if gone:
        promise_id = t.lot_id if t.kind == KIND_MATURE else t.reverses
        writes.append(Write(REDUCE_PENDING, (t.merchant_id, promise_id, gone)))


def transaction_of(
    row: Row, postings: Sequence[Posting], movements: Sequence[LotMovement]
) -> Transaction:
    """A transaction as it was sealed, from its row and those that belong to it."""
    rule = row["rule"]
    return Transaction(
        row["merchant_id"],
        row["customer_id"],
        row["asset"],
        row["sequence"],
        row["transaction_id"],
        row["kind"],
        row["amount"],
        row["reason"],
        row["effective_at"],
        row["recorded_at"],
        tuple(sorted(postings)),
        row["member"],
        row["hold"],
        row["pending"],
        row["lot_id"],
        row["lot_amount"],
        tuple(movements),
        row["expires_at"],
        row["matures_at"],
        row["hold_id"],
        row["order_id"],
        row["reverses"],
        row["business_key"],
        row["idempotency_key"],
        rule_use_of(rule) if rule is not None else None,
    )


def rule_use_of(kept: list[Any]) -> RuleUse:
    """The use of a rule, from what an entry keeps of it."""
    return msgspec.convert(kept, RULE_USES[len(kept)])


def movement_of(row: Row) -> LotMovement:
    return LotMovement(row["lot_id"], row["points"], row["expires_at"], row["sequence"])


def balance_of(row: Row) -> Balance:
    member, hold = row["member"], row["hold"]
    return Balance(member + hold, hold, member, row["pending"])


def receipt_of(row: Row) -> Receipt:
    """The receipt of a transaction, from its row."""
    return Receipt(
        row["transaction_id"],
        row["customer_id"],
        row["sequence"],
        row["kind"],
        row["amount"],
        balance_of(row),
        row["recorded_at"],
        row["hold_id"],
        redemption_id=redemption_of(row["business_key"]),
    )


def stored_answer(fingerprint: str, response: object) -> Answer | None:
    """What a key was answered; None where the answer is not one of this domain."""
    try:
        return Answer(fingerprint, msgspec.convert(response, Receipt))
    except msgspec.ValidationError:
        return None


def transfer_entry(decision: TransferDecision, transfer: Transfer) -> Entry:
    """What is written of a transfer beside its transactions: its record, and the key's answer."""
    receipt = decision.reply
    if isinstance(receipt, Refusal):
        raise TypeError("a refused transfer is not written")
    merchant_id = decision.source.state.merchant_id
    row = (
        merchant_id,
        receipt.transfer_id,
        transfer.from_customer_id,
        transfer.to_customer_id,
        receipt.amount,
        transfer.reason,
        receipt.recorded_at,
    )
    parts = [
        posted.transaction.transaction_id
        for posted in (*decision.source.events, *decision.target.events)
        if posted.transaction.kind in TRANSFER_KINDS
    ]
    return (
        Write(INSERT_TRANSFER, row),
        *(Write(INSERT_TRANSFER_PART, (merchant_id, receipt.transfer_id, id_)) for id_ in parts),
        idempotency_write(
            merchant_id=merchant_id,
            key=transfer.idempotency.key,
            fingerprint=transfer.idempotency.fingerprint,
            response=msgspec.to_builtins(receipt),
            created_at=receipt.recorded_at,
        ),
    )
