"""What comes due by time alone: pending points mature, holds and lots expire.

Each is a transaction of its own, in the order in which they came due, effective when due. A lot
expires only up to the available points: a hold keeps posted points from expiring, and what it
kept back expires when it ends.
"""

from datetime import datetime
from functools import partial
from typing import NamedTuple

from actors.points.errors import LedgerCorrupt
from actors.points.evolve import evolve
from actors.points.ledger import (
    BREAKAGE,
    HOLD,
    KIND_EXPIRY,
    KIND_HOLD_EXPIRY,
    KIND_MATURE,
    MEMBER,
    PENDING,
    LotMovement,
    Posted,
    Posting,
)
from actors.points.posting import Moment, fill, not_before_last, post
from actors.points.state import AccountState, Hold, Lot, Promise


class HeldBack(NamedTuple):
    """Lots older than transaction `sequence` that are overdue were held back until `until`."""

    until: datetime
    sequence: int


class Due(NamedTuple):
    """Sorts by time, then maturities before holds before lots."""

    at: datetime
    rank: int
    item_id: str


MATURITY, HOLD_END, LOT_END = 0, 1, 2


def settle(
    state: AccountState, moment: Moment, held_back: HeldBack | None = None
) -> tuple[list[Posted], AccountState]:
    """The transactions that are due by `moment.now`, and the state after them."""
    moment = not_before_last(state, moment)
    events: list[Posted] = []
    most = _most_events(state)
    while (due := next_due(state, held_back)) is not None and due.at <= moment.now:
        if len(events) == most:
            raise LedgerCorrupt("what is due does not come to an end")
        event = _post_due(state, due, moment)
        events.append(event)
        state = evolve(state, event)
        if due.rank != LOT_END:
            held_back = HeldBack(due.at, state.sequence)
    return events, state


def _most_events(state: AccountState) -> int:
    """Every promise matures, every hold ends, and every lot expires, at most in one part more
    than there are holds to keep some of it back."""
    promises, holds = len(state.promises), len(state.holds)
    return promises + holds + (len(state.lots) + promises) * (holds + 1)


def next_due(state: AccountState, held_back: HeldBack | None = None) -> Due | None:
    """What happens next by time alone, if nothing else does. None: nothing ever."""
    lot = _next_lot(state, held_back)
    if not state.holds and not state.promises:
        return lot
    dues = [Due(hold.expires_at, HOLD_END, hold.hold_id) for hold in state.holds.values()]
    dues += [
        Due(promise.matures_at, MATURITY, promise.transaction_id)
        for promise in state.promises.values()
    ]
    if lot is not None:
        dues.append(lot)
    return min(dues)


def _next_lot(state: AccountState, held_back: HeldBack | None) -> Due | None:
    """The first lot to expire; none while every posted point is held."""
    if state.member <= 0 or not state.lots:
        return None
    lot = state.lots[0]
    if lot.expires_at is None:
        return None
    at = lot.expires_at
    if held_back is not None and lot.sequence < held_back.sequence:
        at = max(at, held_back.until)
    return Due(at, LOT_END, lot.lot_id)


def _post_due(state: AccountState, due: Due, moment: Moment) -> Posted:
    posted = partial(post, state, moment.new_id("tx"), moment.now, effective_at=due.at)
    if due.rank == MATURITY:
        return _mature(state, state.promises[due.item_id], posted)
    if due.rank == HOLD_END:
        return _end_hold(state.holds[due.item_id], posted)
    return _expire(state, state.lots[0], posted)


def _mature(state: AccountState, promise: Promise, posted: partial[Posted]) -> Posted:
    lot_id, amount = promise.transaction_id, promise.amount
    return posted(
        kind=KIND_MATURE,
        amount=amount,
        reason="pending points matured",
        postings=(Posting(MEMBER, amount), Posting(PENDING, -amount)),
        lot_id=lot_id,
        lot_amount=amount,
        movements=fill(state, lot_id, amount, promise.expires_at),
        expires_at=promise.expires_at,
    )


def _end_hold(hold: Hold, posted: partial[Posted]) -> Posted:
    return posted(
        kind=KIND_HOLD_EXPIRY,
        amount=hold.amount,
        reason="hold expired",
        postings=(Posting(HOLD, -hold.amount), Posting(MEMBER, hold.amount)),
        hold_id=hold.hold_id,
    )


def _expire(state: AccountState, lot: Lot, posted: partial[Posted]) -> Posted:
    amount = min(lot.remaining, state.member)
    return posted(
        kind=KIND_EXPIRY,
        amount=-amount,
        reason="points expired",
        postings=(Posting(BREAKAGE, amount), Posting(MEMBER, -amount)),
        movements=(LotMovement(lot.lot_id, -amount, lot.expires_at, lot.sequence),),
    )
