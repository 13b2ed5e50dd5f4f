"""Holds: points set aside, until they are captured or voided."""

from actors.points.checks import check_amount, check_available, conflict, later, not_found
from actors.points.context import Context
from actors.points.ledger import (
    HOLD,
    KIND_CAPTURE,
    KIND_HOLD,
    KIND_VOID,
    MEMBER,
    REDEMPTION,
    LotMovement,
    Posted,
    Posting,
)
from actors.points.lots import consume
from actors.points.messages import CaptureHold, PlaceHold, VoidHold
from actors.points.posting import Moment, post
from actors.points.state import AccountState, Hold

MAX_HOLDS = 1_000
"""Active holds of one account."""


def place_hold(state: AccountState, place: PlaceHold, context: Context) -> Posted:
    moment, amount = context.moment, place.amount
    check_amount(amount)
    check_available(state, amount)
    if len(state.holds) >= MAX_HOLDS:
        raise conflict("too_many_holds", f"at most {MAX_HOLDS} active holds at once")
    return post(
        state,
        moment.new_id("tx"),
        moment.now,
        kind=KIND_HOLD,
        amount=amount,
        reason=place.reason,
        effective_at=moment.now,
        postings=(Posting(HOLD, amount), Posting(MEMBER, -amount)),
        expires_at=later("expires_at", place.expires_at, moment.now),
        hold_id=moment.new_id("hold"),
        idempotency_key=place.idempotency.key,
    )


def capture_hold(state: AccountState, capture: CaptureHold, context: Context) -> Posted:
    hold = _active_hold(state, capture.hold_id, context)
    amount = hold.amount if capture.amount is None else capture.amount
    check_amount(amount)
    if amount > hold.amount:
        detail = f"{amount} points asked, {hold.amount} held"
        raise conflict("exceeds_hold", detail)
    back = hold.amount - amount
    returned = (Posting(MEMBER, back),) if back else ()
    return _end_hold(
        state,
        capture,
        context.moment,
        kind=KIND_CAPTURE,
        amount=amount,
        postings=(Posting(HOLD, -hold.amount), *returned, Posting(REDEMPTION, amount)),
        movements=consume(state.lots, amount),
    )


def void_hold(state: AccountState, void: VoidHold, context: Context) -> Posted:
    hold = _active_hold(state, void.hold_id, context)
    return _end_hold(
        state,
        void,
        context.moment,
        kind=KIND_VOID,
        amount=hold.amount,
        postings=(Posting(HOLD, -hold.amount), Posting(MEMBER, hold.amount)),
    )


def _end_hold(
    state: AccountState,
    mutation: CaptureHold | VoidHold,
    moment: Moment,
    *,
    kind: str,
    amount: int,
    postings: tuple[Posting, ...],
    movements: tuple[LotMovement, ...] = (),
) -> Posted:
    return post(
        state,
        moment.new_id("tx"),
        moment.now,
        kind=kind,
        amount=amount,
        reason=kind,
        effective_at=moment.now,
        postings=postings,
        movements=movements,
        hold_id=mutation.hold_id,
        idempotency_key=mutation.idempotency.key,
    )


def _active_hold(state: AccountState, hold_id: str, context: Context) -> Hold:
    hold = state.holds.get(hold_id)
    if hold is not None:
        return hold
    if context.hold_known:
        raise conflict("hold_ended", "the hold was captured, voided, or has expired")
    raise not_found("hold_unknown", f"there is no hold {hold_id}")
