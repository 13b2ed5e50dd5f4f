"""What may be said of a merchant's program: refunds, rewards, redemptions, what is owed."""

from datetime import datetime
from enum import Enum

import attrs

from actors.vocabulary import Page, Refusal
from runtime.message import Call

PROGRAM = "points.program"
"""Name of the actor that keeps the merchant's program: refund policy, rewards, redemptions."""


class RefundPolicy(Enum):
    """What may be taken back of earned points: what is still pending; also what was posted, as
    far as it is available; or all of it, below zero if need be, which later earnings fill first.
    """

    ONLY_PENDING = "only_pending"
    WITHIN_BALANCE = "within_balance"
    UNLIMITED = "unlimited"


@attrs.frozen
class RefundRule:
    """Version 0 is the built-in rule: `WITHIN_BALANCE`."""

    version: int
    policy: RefundPolicy


@attrs.frozen
class GetRefundRule(Call[RefundRule]):
    """To `PROGRAM`."""

    merchant_id: str


@attrs.frozen
class SetRefundRule(Call[RefundRule | Refusal]):
    """To `PROGRAM`: add the next version. Setting what is in force changes nothing."""

    merchant_id: str
    policy: RefundPolicy


@attrs.frozen(kw_only=True)
class RewardTerms:
    """What a merchant says of a reward. None: no limit, no bound in time."""

    name: str
    cost_points: int
    stock: int | None = None
    per_customer_max: int | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    active: bool = True


@attrs.frozen(kw_only=True)
class Reward:
    """A reward of the catalogue; `taken` of its `stock` are redeemed. `version` counts changes of
    its terms."""

    reward_id: str
    name: str
    cost_points: int
    stock: int | None
    taken: int
    per_customer_max: int | None
    valid_from: datetime | None
    valid_until: datetime | None
    active: bool
    version: int


@attrs.frozen
class PutReward(Call[Reward | Refusal]):
    """To `PROGRAM`: create a reward, or change its terms. The same terms again change nothing."""

    merchant_id: str
    reward_id: str
    terms: RewardTerms


@attrs.frozen
class GetReward(Call[Reward | None]):
    merchant_id: str
    reward_id: str


@attrs.frozen
class ListRewards(Call[Page[Reward] | Refusal]):
    """By their ids. `on_offer`: only those that can be redeemed now."""

    merchant_id: str
    on_offer: bool = False
    limit: int = 50
    cursor: str | None = None


@attrs.frozen(kw_only=True)
class Redemption:
    """`cost_points` for all of `quantity`, by the terms of `reward_version`."""

    redemption_id: str
    customer_id: str
    reward_id: str
    quantity: int
    cost_points: int
    reward_version: int
    transaction_id: str
    redeemed_at: datetime
    cancelled_at: datetime | None = None


@attrs.frozen
class GetRedemption(Call[Redemption | None]):
    merchant_id: str
    redemption_id: str


@attrs.frozen
class ListRedemptions(Call[Page[Redemption] | Refusal]):
    """Newest first."""

    merchant_id: str
    customer_id: str | None = None
    limit: int = 50
    cursor: str | None = None


@attrs.frozen
class MonthOfExpiry:
    """Points that expire in a month (`2026-03`, UTC) unless they are spent before."""

    month: str
    points: int


@attrs.frozen(kw_only=True)
class Liability:
    """What a merchant owes in points.

    `outstanding` is the sum of all positive balances, held points among them, `overdrawn` that of
    the negative ones. `overdue` is the part of it that has ended, and is about to be posted as
    expired. The months, `never_expiring` and `overdue` together make `outstanding`. Since the
    beginning `issued` points were given out (net of reversals), `redeemed` spent and `expired`
    broken; `expected_breakage` is the same share of the outstanding ones.
    """

    as_of: datetime
    accounts: int
    outstanding: int
    held: int
    pending: int
    overdrawn: int
    overdue: int
    never_expiring: int
    by_expiry_month: tuple[MonthOfExpiry, ...]
    issued: int
    redeemed: int
    expired: int
    expected_breakage: int


@attrs.frozen
class GetLiability(Call[Liability]):
    """To `PROGRAM`."""

    merchant_id: str
