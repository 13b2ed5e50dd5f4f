"""The ledger's values: transactions of double-entry postings, and the chain that seals them."""

from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

import msgspec

# Accounts of a transaction's postings. A member's posted points are MEMBER + HOLD.
ADJUSTMENT = "adjustment"
BREAKAGE = "breakage"
HOLD = "hold"
ISSUANCE = "issuance"
MEMBER = "member"
PENDING = "pending"
REDEMPTION = "redemption"
TRANSFER = "transfer"

# Kinds of transactions.
KIND_EARN = "earn"
KIND_PENDING_EARN = "pending_earn"
KIND_MATURE = "mature"
KIND_REDEEM = "redeem"
KIND_ADJUST = "adjust"
KIND_HOLD = "hold"
KIND_CAPTURE = "capture"
KIND_VOID = "void"
KIND_HOLD_EXPIRY = "hold_expiry"
KIND_EXPIRY = "expiry"
KIND_REVERSAL = "reversal"
KIND_TRANSFER_OUT = "transfer_out"
KIND_TRANSFER_IN = "transfer_in"
KIND_REWARD = "reward"

TRANSFER_KINDS = frozenset({KIND_TRANSFER_OUT, KIND_TRANSFER_IN})
HOLD_ENDS = frozenset({KIND_CAPTURE, KIND_VOID, KIND_HOLD_EXPIRY})

GENESIS = bytes(32)
"""What the first transaction of an account is chained to."""


class Posting(NamedTuple):
    """Points that a transaction moves into (or, negative, out of) one account."""

    account: str
    points: int


class LotMovement(NamedTuple):
    """Points that a transaction puts into (or takes out of) a lot that was there before.

    `expires_at` and `sequence` are the lot's: enough to restore it after it was used up.
    """

    lot_id: str
    points: int
    expires_at: datetime | None
    sequence: int


class RuleUse(msgspec.Struct, frozen=True, array_like=True):
    """Why an order earned what it did: the rule, its version, its inputs, its rounding."""

    version: int
    currency: str
    total_minor: int
    points: int
    per_amount_minor: int
    rounding: str


class MultipliedRuleUse(RuleUse, frozen=True, array_like=True):
    """The same of a rule with a multiplier. A class of its own, so that the entries of rules
    without one stay what they were sealed as."""

    multiplier_percent: int


class PromotionUse(msgspec.Struct, frozen=True, array_like=True):
    """Why a campaign added what it did to an order's points: its rule and the rule's inputs.

    Of a goal, the order counted `counted` after `before`, and the member had reached it `reached`
    times. `left` is what budgets left for it (-1: they have no limits), `bonus` what it added,
    which cost `money_minor`.
    """

    campaign_id: str
    version: int
    kind: str
    percent: int
    points: int
    target: int
    repeats_max: int
    counted: int
    before: int
    reached: int
    left: int
    bonus: int
    money_minor: int


class PromotedRuleUse(MultipliedRuleUse, frozen=True, array_like=True):
    """The same of an order that the rules of running campaigns were asked about, and had something
    for, or were not known for sure: `rules_age_s` is how long before they had been heard of."""

    rules_version: int
    rules_age_s: int
    promotions: tuple[PromotionUse, ...]


class Transaction(msgspec.Struct, frozen=True, array_like=True):
    """One entry of an account's ledger. It never changes; corrections are new entries.

    `lot_id` and `lot_amount` name the lot that it opened, `expires_at` when that lot (or the
    hold it placed, or the lot that pending points become) ends, `matures_at` when pending
    points do. Postings are sorted by account. `member`, `hold` and `pending` are the balances
    after it. A msgspec struct and not an attrs class, because its encoding is what the chain
    seals, and encoding and making one cost 3 µs less that way.
    """

    merchant_id: str
    customer_id: str
    asset: str
    sequence: int
    transaction_id: str
    kind: str
    amount: int
    reason: str
    effective_at: datetime
    recorded_at: datetime
    postings: tuple[Posting, ...]
    member: int
    hold: int
    pending: int
    lot_id: str | None = None
    lot_amount: int | None = None
    movements: tuple[LotMovement, ...] = ()
    expires_at: datetime | None = None
    matures_at: datetime | None = None
    hold_id: str | None = None
    order_id: str | None = None
    reverses: str | None = None
    business_key: str | None = None
    idempotency_key: str | None = None
    rule: RuleUse | None = None


class Posted(NamedTuple):
    """The one event of this domain: a transaction, sealed into its account's chain."""

    transaction: Transaction
    previous_hash: bytes
    hash: bytes


_encode = msgspec.json.Encoder().encode


def seal(previous_hash: bytes, transaction: Transaction) -> bytes:
    """The hash that chains `transaction` to the one before: SHA-256 over both."""
    return sha256(previous_hash + _encode(transaction)).digest()
