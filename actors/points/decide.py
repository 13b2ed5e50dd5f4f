"""What an account does about a mutation: transactions and a receipt, or a refusal."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import attrs

from actors.points.checks import (
    Refused,
    check_amount,
    check_available,
    check_room,
    conflict,
    later,
    past,
    utc,
)
from actors.points.context import Context
from actors.points.evolve import evolve
from actors.points.holds import capture_hold, place_hold, void_hold
from actors.points.ledger import (
    ADJUSTMENT,
    ISSUANCE,
    KIND_ADJUST,
    KIND_EARN,
    KIND_PENDING_EARN,
    KIND_REDEEM,
    MEMBER,
    PENDING,
    REDEMPTION,
    Posted,
    Posting,
    RuleUse,
)
from actors.points.lots import consume
from actors.points.messages import (
    NOTHING,
    Adjust,
    CancelRedemption,
    CaptureHold,
    Earn,
    EarnForOrder,
    Mutation,
    PlaceHold,
    Receipt,
    Redeem,
    RedeemReward,
    Result,
    Reverse,
    VoidHold,
)
from actors.points.posting import Moment, fill, not_before_last, post
from actors.points.program_messages import RefundPolicy
from actors.points.promotions import bonuses
from actors.points.reversals import post_cancellation, post_reversal
from actors.points.rewards import check_cancel, post_reward, redemption_of
from actors.points.rules import builtin_rule, expiry_of, points_for, rule_use
from actors.points.settle import HeldBack, settle
from actors.points.state import AccountState

MAX_PROMISES = 1_000
"""Pending earnings of one account."""


class Decision(NamedTuple):
    """`state` is the account after `events`. A refusal has no events."""

    events: tuple[Posted, ...]
    reply: Result
    state: AccountState


def decide(state: AccountState, mutation: Mutation, context: Context) -> Decision:
    """Settle what is due, then do what `mutation` asks, if it may be done.

    Points that a command sets free although their lot had ended expire right after it.
    """
    moment = not_before_last(state, context.moment)
    if moment is not context.moment:
        context = attrs.evolve(context, moment=moment)
    settled, current = settle(state, moment)
    try:
        posted = _DECIDERS[type(mutation)](current, mutation, context)
    except Refused as refused:
        return Decision((), refused.refusal, state)
    if posted is None:
        return Decision((), _nothing(state.sequence, current, moment), state)
    current = evolve(current, posted)
    followed, current = settle(current, moment, HeldBack(moment.now, current.sequence))
    return Decision((*settled, posted, *followed), _receipt(posted, current), current)


def business_key(order_id: str) -> str:
    """What makes the earning for an order happen once: order, kind, line."""
    return f"order:{order_id}:earn:0"


def _receipt(posted: Posted, state: AccountState) -> Receipt:
    transaction = posted.transaction
    return Receipt(
        transaction.transaction_id,
        transaction.customer_id,
        transaction.sequence,
        transaction.kind,
        transaction.amount,
        state.balance,
        transaction.recorded_at,
        transaction.hold_id,
        redemption_id=redemption_of(transaction.business_key),
    )


def nothing(state: AccountState, moment: Moment) -> Receipt:
    """The answer to what is done already, and has no receipt of its own."""
    moment = not_before_last(state, moment)
    return _nothing(state.sequence, settle(state, moment)[1], moment)


def _nothing(sequence: int, settled: AccountState, moment: Moment) -> Receipt:
    """The balance as if settled, although what is due is not posted for this."""
    return Receipt("", settled.customer_id, sequence, NOTHING, 0, settled.balance, moment.now)


def _earn(state: AccountState, earn: Earn, context: Context) -> Posted:
    moment, amount = context.moment, earn.amount
    check_amount(amount)
    check_room(state, amount)
    effective_at, expires_at = moment.now, None
    if earn.effective_at is not None:
        effective_at = past("effective_at", earn.effective_at, moment.now)
    if earn.pending_until is not None:
        return _earn_pending(state, earn, moment, effective_at)
    if earn.expires_at is not None:
        expires_at = later("expires_at", earn.expires_at, moment.now)
    return _credit(
        state,
        moment,
        KIND_EARN,
        ISSUANCE,
        amount,
        earn.reason,
        effective_at,
        expires_at=expires_at,
        order_id=earn.order_id,
        idempotency_key=earn.idempotency.key,
    )


def _earn_pending(
    state: AccountState, earn: Earn, moment: Moment, effective_at: datetime
) -> Posted:
    if earn.pending_until is None or len(state.promises) >= MAX_PROMISES:
        raise conflict("too_many_pending", f"at most {MAX_PROMISES} pending earnings at once")
    matures_at, expires_at = later("pending_until", earn.pending_until, moment.now), None
    if earn.expires_at is not None:
        expires_at = later("expires_at", earn.expires_at, matures_at)
    return post(
        state,
        moment.new_id("tx"),
        moment.now,
        kind=KIND_PENDING_EARN,
        amount=earn.amount,
        reason=earn.reason,
        effective_at=effective_at,
        postings=(Posting(ISSUANCE, -earn.amount), Posting(PENDING, earn.amount)),
        expires_at=expires_at,
        matures_at=matures_at,
        order_id=earn.order_id,
        idempotency_key=earn.idempotency.key,
    )


def _earn_for_order(state: AccountState, order: EarnForOrder, context: Context) -> Posted | None:
    """Dated by the order, so that points of an old order may have expired already."""
    moment = context.moment
    rule = order.rule if order.rule is not None else builtin_rule(order.currency)
    own = points_for(rule, order.total_minor)
    promotions = bonuses(order.promotions.rules, own, order.total_minor, context.used)
    amount = own + sum(use.bonus for use in promotions)
    if not amount:
        return None
    check_amount(amount)
    check_room(state, amount)
    earned_at = min(utc("ordered_at", order.ordered_at), moment.now)
    return _credit(
        state,
        moment,
        KIND_EARN,
        ISSUANCE,
        amount,
        "order",
        earned_at,
        expires_at=expiry_of(rule, earned_at),
        order_id=order.order_id,
        business_key=business_key(order.order_id),
        rule=rule_use(rule, order, promotions),
    )


def _adjust(state: AccountState, adjust: Adjust, context: Context) -> Posted:
    moment, amount = context.moment, adjust.amount
    check_amount(abs(amount))
    if amount > 0:
        check_room(state, amount)
        return _credit(
            state,
            moment,
            KIND_ADJUST,
            ADJUSTMENT,
            amount,
            adjust.reason,
            moment.now,
            idempotency_key=adjust.idempotency.key,
        )
    return _debit(state, adjust, context, KIND_ADJUST, ADJUSTMENT, -amount)


def _redeem(state: AccountState, redeem: Redeem, context: Context) -> Posted:
    check_amount(redeem.amount)
    return _debit(state, redeem, context, KIND_REDEEM, REDEMPTION, redeem.amount)


def _credit(  # noqa: PLR0913 - the columns of a transaction
    state: AccountState,
    moment: Moment,
    kind: str,
    source: str,
    amount: int,
    reason: str,
    effective_at: datetime,
    *,
    expires_at: datetime | None = None,
    order_id: str | None = None,
    business_key: str | None = None,
    idempotency_key: str | None = None,
    rule: RuleUse | None = None,
) -> Posted:
    """Points from `source` into a new lot."""
    transaction_id = moment.new_id("tx")
    return post(
        state,
        transaction_id,
        moment.now,
        kind=kind,
        amount=amount,
        reason=reason,
        effective_at=effective_at,
        postings=(Posting(source, -amount), Posting(MEMBER, amount)),
        lot_id=transaction_id,
        lot_amount=amount,
        movements=fill(state, transaction_id, amount, expires_at),
        expires_at=expires_at,
        order_id=order_id,
        business_key=business_key,
        idempotency_key=idempotency_key,
        rule=rule,
    )


def _debit(
    state: AccountState,
    mutation: Redeem | Adjust,
    context: Context,
    kind: str,
    sink: str,
    amount: int,
) -> Posted:
    """Available points into `sink`, out of the lots whose turn it is."""
    check_available(state, amount, allow_negative=context.allow_negative)
    moment = context.moment
    return post(
        state,
        moment.new_id("tx"),
        moment.now,
        kind=kind,
        amount=-amount,
        reason=mutation.reason,
        effective_at=moment.now,
        postings=tuple(sorted((Posting(MEMBER, -amount), Posting(sink, amount)))),
        movements=consume(state.lots, amount),
        idempotency_key=mutation.idempotency.key,
    )


def _reverse(state: AccountState, reverse: Reverse, context: Context) -> Posted:
    return post_reversal(
        state,
        reverse,
        context.original,
        context.moment,
        refunds=RefundPolicy.UNLIMITED if context.allow_negative else context.refunds,
    )


def _redeem_reward(state: AccountState, redeem: RedeemReward, context: Context) -> Posted:
    return post_reward(state, redeem, context.offer, context.moment)


def _cancel(state: AccountState, cancel: CancelRedemption, context: Context) -> Posted:
    check_cancel(cancel, context.redemption)
    return post_cancellation(state, cancel, context.original, context.moment)


_DECIDERS: dict[type, Callable[[AccountState, Any, Context], Posted | None]] = {
    Earn: _earn,
    EarnForOrder: _earn_for_order,
    Redeem: _redeem,
    Adjust: _adjust,
    Reverse: _reverse,
    PlaceHold: place_hold,
    CaptureHold: capture_hold,
    VoidHold: void_hold,
    RedeemReward: _redeem_reward,
    CancelRedemption: _cancel,
}
