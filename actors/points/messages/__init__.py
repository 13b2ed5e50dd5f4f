"""What other parts of LoyalNest may say to the points domain, and what it answers."""

from datetime import datetime
from enum import Enum

import attrs

from actors.campaign.messages import Rule, Spent
from actors.core.messages import CreditState, OrderRecorded
from actors.points.expiring import ExpiringPoints as ExpiringPoints
from actors.points.expiring import ListExpiring as ListExpiring
from actors.points.messages.following import FOLLOWING as FOLLOWING
from actors.points.messages.following import POINTS_POSTED as POINTS_POSTED
from actors.points.messages.following import FollowPoints as FollowPoints
from actors.points.messages.following import PointsPosted as PointsPosted
from actors.points.messages.following import PostedPoints as PostedPoints
from actors.vocabulary import Idempotency, Page, Refusal
from runtime.message import Call

ACCOUNTS = "points.accounts"
"""Name of the entities: one account per `AccountKey`. They take `Apply` and `GetBalance`."""

INTAKE = "points.intake"
"""Name of the actor that takes batches and outbox events, and deals them out to accounts."""

QUERIES = "points.queries"
"""Name of the actor that reads the store: history, lots, verification, earn rules."""

DEFERRALS = "points.deferrals"
"""Name of the actor that keeps earnings on the local disk while the database is away."""

MERGERS = "points.mergers"
"""Name of the actor that hears of customers who turned out to be one."""

ORDER_REFUNDS = "points.order_refunds"
"""Name of the actor that takes points back for refunds and cancellations."""

DEFAULT_ASSET = "points"

MAX_BATCH_ITEMS = 1_000
"""Mutations in one `ApplyBatch`."""

MAX_BALANCE = 10**15
"""Most points an account may have, posted and pending together."""

MAX_REWARD_QUANTITY = 1_000
"""Of one reward in one redemption."""

NOTHING = "nothing"
"""Kind of a receipt for an order that earns nothing: no transaction was written."""


@attrs.frozen
class AccountKey:
    """The address of one customer's account."""

    merchant_id: str
    customer_id: str

    def __str__(self) -> str:
        return f"{self.merchant_id}/{self.customer_id}"


# Mutations. Each is one transaction of the ledger. `amount` counts points and is positive,
# except in `Adjust`, where it is signed and not zero. Times are aware.


@attrs.frozen(kw_only=True)
class Earn:
    idempotency: Idempotency
    amount: int
    reason: str
    order_id: str | None = None
    effective_at: datetime | None = None
    expires_at: datetime | None = None
    pending_until: datetime | None = None


class Rounding(Enum):
    """How an order's points become a whole number: points for full steps only, and what a
    multiplier makes of them rounded down; or the share of the last step too, rounded to the nearest
    (halves up), or up."""

    DOWN_PER_ORDER = "down_per_order"
    HALF_UP = "half_up"
    UP = "up"


@attrs.frozen
class EarnRule:
    """`points` for every `per_amount_minor` of an order's total, times `multiplier_percent` / 100,
    rounded once per order.

    Version 0 is the built-in rule: one point per full major unit of the currency.
    `expires_after_days` dates the points from the order's time.
    """

    version: int
    currency: str
    points: int
    per_amount_minor: int
    expires_after_days: int | None
    multiplier_percent: int = 100
    rounding: Rounding = Rounding.DOWN_PER_ORDER


@attrs.frozen
class Promotions:
    """The rules of running campaigns that concern an order, in the order of their effect.

    They are those of `version` of the merchant's rules, and had been heard of `age_s` before.
    """

    rules: tuple[Rule, ...] = ()
    version: int = 0
    age_s: int = 0


NO_PROMOTIONS = Promotions()


@attrs.frozen(kw_only=True)
class EarnForOrder:
    """Earn by rule for an order that core recorded. The order is its own idempotency key.

    The intake puts in the rule in force, and what running campaigns add; an account that gets no
    rule uses the built-in one. An order that earns 0 points writes nothing: its receipt has the
    kind `NOTHING` and no transaction id. `event_id` is the outbox event that told of it; it is
    recorded in the inbox with the earning, and what was recorded before earns nothing again.
    """

    order_id: str
    total_minor: int
    currency: str
    ordered_at: datetime
    rule: EarnRule | None = None
    event_id: str | None = None
    promotions: Promotions = NO_PROMOTIONS


@attrs.frozen(kw_only=True)
class Redeem:
    idempotency: Idempotency
    amount: int
    reason: str


@attrs.frozen(kw_only=True)
class Adjust:
    idempotency: Idempotency
    amount: int
    reason: str


@attrs.frozen(kw_only=True)
class Reverse:
    """Take back a transaction, in part when `amount` is given, else what is left of it."""

    idempotency: Idempotency
    transaction_id: str
    amount: int | None = None
    reason: str = "reversal"


@attrs.frozen(kw_only=True)
class PlaceHold:
    idempotency: Idempotency
    amount: int
    expires_at: datetime
    reason: str = "hold"


@attrs.frozen(kw_only=True)
class CaptureHold:
    """Spend held points: all of them, or `amount`, and the rest returns."""

    idempotency: Idempotency
    hold_id: str
    amount: int | None = None


@attrs.frozen(kw_only=True)
class VoidHold:
    idempotency: Idempotency
    hold_id: str


@attrs.frozen(kw_only=True)
class RedeemReward:
    """Spend points on `quantity` of a reward."""

    idempotency: Idempotency
    reward_id: str
    quantity: int = 1


@attrs.frozen(kw_only=True)
class CancelRedemption:
    """Give the points of a redemption back to the lots they came from, and the reward to its
    stock."""

    idempotency: Idempotency
    redemption_id: str
    reason: str = "redemption cancelled"


Mutation = (
    Earn
    | EarnForOrder
    | Redeem
    | Adjust
    | Reverse
    | PlaceHold
    | CaptureHold
    | VoidHold
    | RedeemReward
    | CancelRedemption
)


@attrs.frozen
class Balance:
    """`available` = `posted` - `held`. `pending` is not part of `posted` yet."""

    posted: int
    held: int
    available: int
    pending: int


@attrs.frozen
class Receipt:
    """What a mutation did. `amount` is signed: what it added to the member's posted points.
    Except for holds, where it is the number of points held, captured or returned, and for
    pending earnings, where it is the number of points promised or withdrawn.

    `balance` is that of the moment, after everything that was due by then.
    """

    transaction_id: str
    customer_id: str
    sequence: int
    kind: str
    amount: int
    balance: Balance
    recorded_at: datetime
    hold_id: str | None = None
    replayed: bool = False
    redemption_id: str | None = None


Result = Receipt | Refusal


@attrs.frozen
class Apply(Call[tuple[Result, ...]]):
    """To an account: apply mutations in order. A refused one does not stop the next.

    The same key and fingerprint again answer the first receipt, `replayed`. Refusals are not
    kept under their key: the same request may succeed later.
    """

    mutations: tuple[Mutation, ...]


@attrs.frozen
class Settle(Call[int]):
    """To an account: post what has come due, and answer the number of transactions.

    Every mutation settles first, and balances are read as if settled; this makes it so for
    accounts nobody touches.
    """


@attrs.frozen
class ExpiringLot:
    amount: int
    expires_at: datetime


@attrs.frozen
class BalanceView:
    """A balance as of `as_of`, with the lot that expires soonest."""

    customer_id: str
    balance: Balance
    expiring: ExpiringLot | None
    as_of: datetime


@attrs.frozen
class GetBalance(Call[BalanceView | Refusal]):
    """To an account: its balance now."""


@attrs.frozen
class BatchItem:
    """One mutation of a batch. `customer_id` is not needed where the mutation names a
    transaction or a hold."""

    mutation: Mutation
    customer_id: str | None = None


@attrs.frozen
class ApplyBatch(Call[tuple[Result, ...]]):
    """To the intake: mutations of many accounts; one result each, in order.

    Also the way to reverse, capture or void by id alone, as a batch of one. At most
    `MAX_BATCH_ITEMS`. Where an account did not answer, its items are refused as `UNAVAILABLE`.
    """

    merchant_id: str
    items: tuple[BatchItem, ...]


@attrs.frozen(kw_only=True)
class Transfer:
    """Points of one customer to another of the same merchant. `amount` is positive."""

    idempotency: Idempotency
    from_customer_id: str
    to_customer_id: str
    amount: int
    reason: str = "transfer"


@attrs.frozen
class TransferReceipt:
    """What a transfer did: `source` gave, `target` got, in one commit.

    `source.amount` is negative. The target's receipt is that of its last transaction, with the
    amount of all of them: there is one for each date on which some of the points expire.
    """

    transfer_id: str
    amount: int
    source: Receipt
    target: Receipt
    recorded_at: datetime
    replayed: bool = False


@attrs.frozen
class ApplyTransfer(Call[TransferReceipt | Refusal]):
    """To the intake. The same key and fingerprint again answer the first receipt, `replayed`."""

    merchant_id: str
    transfer: Transfer


class TimeAxis(Enum):
    """Which of an entry's two times a look into the past goes by."""

    EFFECTIVE = "effective"
    RECORDED = "recorded"


@attrs.frozen
class GetBalanceAt(Call[BalanceView | Refusal]):
    merchant_id: str
    customer_id: str
    at: datetime
    axis: TimeAxis = TimeAxis.RECORDED


@attrs.frozen
class LedgerEntry:
    transaction_id: str
    sequence: int
    kind: str
    amount: int
    reason: str
    order_id: str | None
    hold_id: str | None
    reverses: str | None
    transfer_id: str | None
    redemption_id: str | None
    rule_version: int | None
    effective_at: datetime
    recorded_at: datetime
    balance: Balance


@attrs.frozen
class ListLedger(Call[Page[LedgerEntry] | Refusal]):
    """Newest first."""

    merchant_id: str
    customer_id: str
    limit: int = 50
    cursor: str | None = None


@attrs.frozen
class LotView:
    lot_id: str
    transaction_id: str
    amount: int
    remaining: int
    earned_at: datetime
    expires_at: datetime | None


@attrs.frozen
class ListLots(Call[Page[LotView] | Refusal]):
    """Lots with something left, in the order in which they are spent."""

    merchant_id: str
    customer_id: str
    limit: int = 50
    cursor: str | None = None


@attrs.frozen
class Mismatch:
    """One thing in the store that does not follow from the entries."""

    customer_id: str
    check: str
    detail: str


@attrs.frozen
class Verification:
    """`clean` when `mismatches` is empty. At most 100 mismatches are listed."""

    clean: bool
    accounts: int
    transactions: int
    postings: int
    points_outstanding: int
    mismatches: tuple[Mismatch, ...]


@attrs.frozen
class Verify(Call[Verification]):
    """Recompute every balance, lot and hash chain of a merchant from its entries."""

    merchant_id: str


@attrs.frozen
class GetEarnRule(Call[EarnRule]):
    merchant_id: str
    currency: str


@attrs.frozen
class SetEarnRule(Call[EarnRule | Refusal]):
    """Add the next version; entries made before keep the version they were made by.

    Setting what is in force already changes nothing.
    """

    merchant_id: str
    currency: str
    points: int
    per_amount_minor: int
    expires_after_days: int | None = None
    multiplier_percent: int = 100
    rounding: Rounding = Rounding.DOWN_PER_ORDER


@attrs.frozen
class CheckCredits(Call[tuple[CreditState, ...]]):
    """To `QUERIES`: whether these orders have their points; one state each, in order."""

    merchant_id: str
    orders: tuple[OrderRecorded, ...]


@attrs.frozen
class ListTierMembers(Call[tuple[str, ...]]):
    """To `QUERIES`: members who have one of the tiers, by their ids, after the id `after`; fewer
    than `limit` at the end."""

    merchant_id: str
    tiers: tuple[str, ...]
    after: str = ""
    limit: int = 500


MAX_TIER_MEMBERS = 1_000


@attrs.frozen
class GetCampaignSpent(Call[Spent]):
    """To `QUERIES`: what a campaign has given so far."""

    merchant_id: str
    campaign_id: str
