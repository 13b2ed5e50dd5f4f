"""What a transfer does to its two accounts: transactions of both, or a refusal."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import attrs

from actors.points.checks import (
    Refused,
    check_amount,
    check_available,
    check_room,
    conflict,
)
from actors.points.evolve import evolve
from actors.points.ledger import (
    KIND_TRANSFER_IN,
    KIND_TRANSFER_OUT,
    MEMBER,
    TRANSFER,
    LotMovement,
    Posted,
    Posting,
)
from actors.points.lots import NEVER, consume
from actors.points.messages import Receipt, Transfer, TransferReceipt
from actors.points.posting import Moment, fill, not_before_last, post
from actors.points.settle import HeldBack, settle
from actors.points.state import AccountState
from actors.vocabulary import Refusal

MAX_PARTS = 100
"""Different dates of expiry among the points of one transfer."""

TOO_MANY_LOTS = "too_many_lots"
PREFIX = "transfer"


class Side(NamedTuple):
    """One account of a transfer: `state` is the account after `events`."""

    events: tuple[Posted, ...]
    state: AccountState


class TransferDecision(NamedTuple):
    """A refusal has no events, and leaves both states as they were."""

    source: Side
    target: Side
    reply: TransferReceipt | Refusal


def transfer_of(business_key: str | None) -> str | None:
    """The transfer that a transaction with this business key is a part of."""
    kind, _, rest = (business_key or "").partition(":")
    return rest.partition(":")[0] if kind == PREFIX else None


def decide_transfer(
    source: AccountState, target: AccountState, transfer: Transfer, moment: Moment
) -> TransferDecision:
    """Settle both accounts, then move the points, with the dates on which they expire.

    Only available points move, whatever the merchant allows elsewhere; what the target is short
    of below zero is filled first.
    """
    moment = not_before_last(target, not_before_last(source, moment))
    transfer_id = moment.new_id("trf")
    try:
        giving = _give(source, transfer, transfer_id, moment)
        taken = giving.events[-1].transaction.movements
        getting = _get(target, transfer, transfer_id, taken, moment)
    except Refused as refused:
        return TransferDecision(Side((), source), Side((), target), refused.refusal)
    out, into = giving.events[-1], getting.events[-1]
    giving, getting = _followed(giving, moment), _followed(getting, moment)
    receipt = TransferReceipt(
        transfer_id,
        transfer.amount,
        _receipt(out, -transfer.amount, giving.state),
        _receipt(into, transfer.amount, getting.state),
        moment.now,
    )
    return TransferDecision(giving, getting, receipt)


def _give(state: AccountState, transfer: Transfer, transfer_id: str, moment: Moment) -> Side:
    settled, state = settle(state, moment)
    check_amount(transfer.amount)
    check_available(state, transfer.amount)
    posted = post(
        state,
        moment.new_id("tx"),
        moment.now,
        kind=KIND_TRANSFER_OUT,
        amount=-transfer.amount,
        reason=transfer.reason,
        effective_at=moment.now,
        postings=(Posting(MEMBER, -transfer.amount), Posting(TRANSFER, transfer.amount)),
        movements=consume(state.lots, transfer.amount),
        business_key=f"{PREFIX}:{transfer_id}:out",
        idempotency_key=transfer.idempotency.key,
    )
    return Side((*settled, posted), evolve(state, posted))


def _get(
    state: AccountState,
    transfer: Transfer,
    transfer_id: str,
    taken: Iterable[LotMovement],
    moment: Moment,
) -> Side:
    events, state = settle(state, moment)
    check_room(state, transfer.amount)
    parts = _by_expiry(taken)
    if len(parts) > MAX_PARTS:
        detail = f"these points expire on more than {MAX_PARTS} dates; transfer fewer at once"
        raise conflict(TOO_MANY_LOTS, detail)
    for number, (expires_at, amount) in enumerate(parts):
        part_id = moment.new_id("tx")
        posted = post(
            state,
            part_id,
            moment.now,
            kind=KIND_TRANSFER_IN,
            amount=amount,
            reason=transfer.reason,
            effective_at=moment.now,
            postings=(Posting(MEMBER, amount), Posting(TRANSFER, -amount)),
            lot_id=part_id,
            lot_amount=amount,
            movements=fill(state, part_id, amount, expires_at),
            expires_at=expires_at,
            business_key=f"{PREFIX}:{transfer_id}:in:{number}",
        )
        events.append(posted)
        state = evolve(state, posted)
    return Side(tuple(events), state)


def _by_expiry(taken: Iterable[LotMovement]) -> list[tuple[datetime | None, int]]:
    """Points by the date on which they expire, the earliest first."""
    points: dict[datetime | None, int] = {}
    for movement in taken:
        points[movement.expires_at] = points.get(movement.expires_at, 0) - movement.points
    return sorted(points.items(), key=lambda part: part[0] or NEVER)


def _followed(side: Side, moment: Moment) -> Side:
    """Points that are free now although their lot had ended expire."""
    held_back = HeldBack(moment.now, side.state.sequence)
    followed, state = settle(side.state, moment, held_back)
    return Side((*side.events, *followed), state)


def _receipt(posted: Posted, amount: int, state: AccountState) -> Receipt:
    transaction = posted.transaction
    return Receipt(
        transaction.transaction_id,
        transaction.customer_id,
        transaction.sequence,
        transaction.kind,
        amount,
        state.balance,
        transaction.recorded_at,
    )


def again(receipt: TransferReceipt) -> TransferReceipt:
    """The first answer, told once more."""
    return attrs.evolve(receipt, replayed=True)
