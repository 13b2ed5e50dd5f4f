"""Making the next transaction of an account."""

from collections.abc import Callable
from datetime import datetime

import attrs

from actors.points.ledger import (
    HOLD,
    MEMBER,
    PENDING,
    LotMovement,
    Posted,
    Posting,
    RuleUse,
    Transaction,
    seal,
)
from actors.points.state import AccountState

NewId = Callable[[str], str]


@attrs.frozen
class Moment:
    """When something is recorded, and where ids of new transactions and holds come from.

    `now` is in UTC. Where the clock stepped back behind the account's last transaction, that one's
    time counts instead.
    """

    now: datetime
    new_id: NewId


def not_before_last(state: AccountState, moment: Moment) -> Moment:
    """`moment`, or the time of the account's last transaction when that is later."""
    last = state.recorded_at
    return moment if last is None or last <= moment.now else Moment(last, moment.new_id)


def post(  # noqa: PLR0913 - the columns of a transaction
    state: AccountState,
    transaction_id: str,
    recorded_at: datetime,
    *,
    kind: str,
    amount: int,
    reason: str,
    effective_at: datetime,
    postings: tuple[Posting, ...],
    lot_id: str | None = None,
    lot_amount: int | None = None,
    movements: tuple[LotMovement, ...] = (),
    expires_at: datetime | None = None,
    matures_at: datetime | None = None,
    hold_id: str | None = None,
    order_id: str | None = None,
    reverses: str | None = None,
    business_key: str | None = None,
    idempotency_key: str | None = None,
    rule: RuleUse | None = None,
) -> Posted:
    """The transaction that follows `state`, with the balances after it, sealed."""
    member, hold, pending = balances_after(state, postings)
    transaction = Transaction(
        state.merchant_id,
        state.customer_id,
        state.asset,
        state.sequence + 1,
        transaction_id,
        kind,
        amount,
        reason,
        effective_at,
        recorded_at,
        postings,
        member,
        hold,
        pending,
        lot_id,
        lot_amount,
        movements,
        expires_at,
        matures_at,
        hold_id,
        order_id,
        reverses,
        business_key,
        idempotency_key,
        rule,
    )
    return Posted(transaction, state.head, seal(state.head, transaction))


def balances_after(state: AccountState, postings: tuple[Posting, ...]) -> tuple[int, int, int]:
    """Member, hold and pending points after `postings`."""
    member, hold, pending = state.member, state.hold, state.pending
    for account, points in postings:
        if account == MEMBER:
            member += points
        elif account == HOLD:
            hold += points
        elif account == PENDING:
            pending += points
    return member, hold, pending


def overdraft_filled(state: AccountState, credit: int) -> int:
    """How much of a credit fills what is missing below zero, and goes into no lot."""
    return min(credit, max(0, -state.member - state.hold))


def fill(
    state: AccountState, lot_id: str, credit: int, expires_at: datetime | None
) -> tuple[LotMovement, ...]:
    """What a lot opened by the next transaction loses at once to an overdraft."""
    filled = overdraft_filled(state, credit)
    if not filled:
        return ()
    return (LotMovement(lot_id, -filled, expires_at, state.sequence + 1),)
