"""Redeeming rewards, and taking that back: what the catalogue allows, and what it costs."""

from datetime import datetime

import attrs

from actors.points.checks import check_amount, check_available, conflict, invalid, not_found
from actors.points.ledger import KIND_REWARD, MEMBER, REDEMPTION, Posted, Posting
from actors.points.lots import consume
from actors.points.messages import MAX_REWARD_QUANTITY, CancelRedemption, RedeemReward
from actors.points.posting import Moment, post
from actors.points.program_messages import Redemption, Reward
from actors.points.state import AccountState

PREFIX = "redemption"


@attrs.frozen
class Offer:
    """A reward as a decision sees it: `taken` and `had` (by this customer) count everything that
    is planned already."""

    reward: Reward
    taken: int
    had: int


@attrs.frozen
class Redeemed:
    """A redemption that the transaction beside it pays for."""

    redemption: Redemption


@attrs.frozen
class Cancelled:
    """A redemption that the transaction `cancelled_by` takes back."""

    redemption: Redemption
    cancelled_by: str
    cancelled_at: datetime


RedemptionChange = Redeemed | Cancelled


def redemption_of(business_key: str | None) -> str | None:
    """The redemption that a transaction with this business key pays for, or takes back."""
    kind, _, rest = (business_key or "").partition(":")
    return rest.partition(":")[0] if kind == PREFIX else None


def cancel_key(redemption_id: str) -> str:
    """What makes the end of a redemption happen once."""
    return f"{PREFIX}:{redemption_id}:cancel"


def post_reward(
    state: AccountState, redeem: RedeemReward, offer: Offer | None, moment: Moment
) -> Posted:
    """The transaction that pays for a reward; raises `Refused`."""
    if offer is None:
        raise not_found("reward_unknown", f"there is no reward {redeem.reward_id}")
    _check_offer(offer, redeem.quantity, moment.now)
    cost = offer.reward.cost_points * redeem.quantity
    check_amount(cost)
    check_available(state, cost)
    return post(
        state,
        moment.new_id("tx"),
        moment.now,
        kind=KIND_REWARD,
        amount=-cost,
        reason=f"reward {redeem.reward_id}",
        effective_at=moment.now,
        postings=(Posting(MEMBER, -cost), Posting(REDEMPTION, cost)),
        movements=consume(state.lots, cost),
        business_key=f"{PREFIX}:{moment.new_id('rdm')}",
        idempotency_key=redeem.idempotency.key,
    )


def _check_offer(offer: Offer, quantity: int, now: datetime) -> None:
    reward = offer.reward
    if not 1 <= quantity <= MAX_REWARD_QUANTITY:
        raise invalid("quantity_out_of_range", f"quantity must be 1 to {MAX_REWARD_QUANTITY}")
    early = reward.valid_from is not None and now < reward.valid_from
    late = reward.valid_until is not None and now >= reward.valid_until
    if not reward.active or early or late:
        raise conflict("reward_not_available", f"the reward {reward.reward_id} is not on offer now")
    most = reward.per_customer_max
    if most is not None and offer.had + quantity > most:
        detail = f"at most {most} for each customer; this one has {offer.had}"
        raise conflict("reward_limit_reached", detail)
    if reward.stock is not None and offer.taken + quantity > reward.stock:
        detail = f"{quantity} asked, {reward.stock - offer.taken} left"
        raise conflict("reward_out_of_stock", detail)


def check_cancel(cancel: CancelRedemption, redemption: Redemption | None) -> Redemption:
    """The redemption to be taken back; raises `Refused`."""
    if redemption is None:
        detail = f"there is no redemption {cancel.redemption_id}"
        raise not_found("redemption_unknown", detail)
    if redemption.cancelled_at is not None:
        raise conflict("redemption_cancelled", "the redemption was cancelled before")
    return redemption


def redeemed(redeem: RedeemReward, reward: Reward, posted: Posted) -> Redeemed:
    """The redemption that `posted` pays for."""
    transaction = posted.transaction
    redemption_id = redemption_of(transaction.business_key)
    if redemption_id is None:
        raise ValueError(f"{transaction.transaction_id} pays for no redemption")
    redemption = Redemption(
        redemption_id=redemption_id,
        customer_id=transaction.customer_id,
        reward_id=reward.reward_id,
        quantity=redeem.quantity,
        cost_points=-transaction.amount,
        reward_version=reward.version,
        transaction_id=transaction.transaction_id,
        redeemed_at=transaction.recorded_at,
    )
    return Redeemed(redemption)
