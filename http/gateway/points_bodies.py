"""Bodies and answers of the points routes, and the mutations that bodies stand for."""

from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from actors.points.messages import (
    Adjust,
    Balance,
    BalanceView,
    CaptureHold,
    Earn,
    ExpiringLot,
    PlaceHold,
    Receipt,
    Redeem,
    Reverse,
    Rounding,
    TimeAxis,
    Transfer,
    TransferReceipt,
    VoidHold,
)
from actors.vocabulary import Idempotency
from gateway.bodies import (
    Amount,
    Body,
    Currency,
    Id,
    Instant,
    SignedAmount,
    Text,
    utc,
    utc_or_none,
)
from gateway.problems import Problem

MAX_EXPIRY_DAYS = 36_500
MAX_POINTS_PER_STEP = 10**6
MAX_MULTIPLIER_PERCENT = 10_000


class EarnBody(Body, frozen=True, kw_only=True):
    """Points for a member. With `pending_until` they are promised, and posted at that time."""

    path: ClassVar[str] = "/v1/points/earn"

    customer_id: Id
    amount: Amount
    reason: Text
    order_id: Id | None = None
    effective_at: Instant | None = None
    expires_at: Instant | None = None
    pending_until: Instant | None = None

    def mutation(self, idempotency: Idempotency) -> Earn:
        return Earn(
            idempotency=idempotency,
            amount=self.amount,
            reason=self.reason,
            order_id=self.order_id,
            effective_at=utc_or_none(self.effective_at, "effective_at"),
            expires_at=utc_or_none(self.expires_at, "expires_at"),
            pending_until=utc_or_none(self.pending_until, "pending_until"),
        )


class RedeemBody(Body, frozen=True, kw_only=True):
    """Spend a member's points."""

    path: ClassVar[str] = "/v1/points/redeem"

    customer_id: Id
    amount: Amount
    reason: Text

    def mutation(self, idempotency: Idempotency) -> Redeem:
        return Redeem(idempotency=idempotency, amount=self.amount, reason=self.reason)


class AdjustBody(Body, frozen=True, kw_only=True):
    """Correct a balance by hand: a signed amount."""

    path: ClassVar[str] = "/v1/points/adjust"

    customer_id: Id
    amount: SignedAmount
    reason: Text

    def mutation(self, idempotency: Idempotency) -> Adjust:
        if self.amount == 0:
            raise Problem(422, "validation_failed", "must not be 0 - at `$.amount`")
        return Adjust(idempotency=idempotency, amount=self.amount, reason=self.reason)


class TransferBody(Body, frozen=True, kw_only=True):
    """Move available points from one member to another of the same merchant."""

    path: ClassVar[str] = "/v1/points/transfer"

    from_customer_id: Id
    to_customer_id: Id
    amount: Amount
    reason: Text = "transfer"

    def transfer(self, idempotency: Idempotency) -> Transfer:
        return Transfer(
            idempotency=idempotency,
            from_customer_id=self.from_customer_id,
            to_customer_id=self.to_customer_id,
            amount=self.amount,
            reason=self.reason,
        )


class HoldBody(Body, frozen=True, kw_only=True):
    """Set points aside until they are captured, voided or the hold expires."""

    path: ClassVar[str] = "/v1/points/holds"

    customer_id: Id
    amount: Amount
    expires_at: Instant
    reason: Text = "hold"

    def mutation(self, idempotency: Idempotency) -> PlaceHold:
        return PlaceHold(
            idempotency=idempotency,
            amount=self.amount,
            expires_at=utc(self.expires_at, "expires_at"),
            reason=self.reason,
        )


class ReverseBody(Body, frozen=True, kw_only=True):
    """Take back a transaction: `amount` of it, or else what is left of it."""

    path: ClassVar[str] = "/v1/points/reverse"

    transaction_id: Id
    amount: Amount | None = None
    reason: Text = "reversal"

    def mutation(self, idempotency: Idempotency) -> Reverse:
        return Reverse(
            idempotency=idempotency,
            transaction_id=self.transaction_id,
            amount=self.amount,
            reason=self.reason,
        )


class CaptureBody(Body, frozen=True, kw_only=True):
    """Spend held points: `amount` of them and the rest returns, or else all."""

    path: ClassVar[str] = "/v1/points/holds/{hold_id}/capture"

    amount: Amount | None = None

    def mutation(self, idempotency: Idempotency, hold_id: str) -> CaptureHold:
        return CaptureHold(idempotency=idempotency, hold_id=hold_id, amount=self.amount)


class VoidBody(Body, frozen=True, kw_only=True):
    """Nothing: the hold is in the path."""

    path: ClassVar[str] = "/v1/points/holds/{hold_id}/void"

    def mutation(self, idempotency: Idempotency, hold_id: str) -> VoidHold:
        return VoidHold(idempotency=idempotency, hold_id=hold_id)


class EarnRuleBody(Body, frozen=True, kw_only=True):
    """`points` for every `per_amount_minor` of an order's total, in minor units, times
    `multiplier_percent` / 100, rounded once per order."""

    currency: Currency
    points: Annotated[int, Meta(ge=0, le=MAX_POINTS_PER_STEP)]
    per_amount_minor: Amount
    expires_after_days: Annotated[int, Meta(ge=1, le=MAX_EXPIRY_DAYS)] | None = None
    multiplier_percent: Annotated[int, Meta(ge=1, le=MAX_MULTIPLIER_PERCENT)] = 100
    rounding: Rounding = Rounding.DOWN_PER_ORDER


class EarnRuleQuery(Body, frozen=True):
    """Without `currency`, the merchant's own."""

    currency: Currency | None = None


class BalanceQuery(Body, frozen=True):
    """`at` looks into the past, by the time that `axis` names."""

    at: Instant | None = None
    axis: TimeAxis = TimeAxis.RECORDED


class Mutated(msgspec.Struct, frozen=True, kw_only=True):
    """What a mutation did, and the balance right after it."""

    transaction_id: str
    customer_id: str
    sequence: int
    kind: str
    amount: int
    balance: Balance
    recorded_at: datetime
    hold_id: str | msgspec.UnsetType = msgspec.UNSET
    redemption_id: str | msgspec.UnsetType = msgspec.UNSET


class Transferred(msgspec.Struct, frozen=True, kw_only=True):
    """What a transfer did to both members: the last transaction of each, and the balance after."""

    transfer_id: str
    amount: int
    source: Mutated
    target: Mutated
    recorded_at: datetime


class CustomerBalance(msgspec.Struct, frozen=True, kw_only=True):
    """`available` = `posted` - `held`; `pending` is not part of `posted` yet."""

    customer_id: str
    posted: int
    held: int
    available: int
    pending: int
    expiring: ExpiringLot | None
    as_of: datetime


def mutated(receipt: Receipt) -> Mutated:
    return Mutated(
        transaction_id=receipt.transaction_id,
        customer_id=receipt.customer_id,
        sequence=receipt.sequence,
        kind=receipt.kind,
        amount=receipt.amount,
        balance=receipt.balance,
        recorded_at=receipt.recorded_at,
        hold_id=_or_unset(receipt.hold_id),
        redemption_id=_or_unset(receipt.redemption_id),
    )


def _or_unset(text: str | None) -> str | msgspec.UnsetType:
    return text if text is not None else msgspec.UNSET


def transferred(receipt: TransferReceipt) -> Transferred:
    return Transferred(
        transfer_id=receipt.transfer_id,
        amount=receipt.amount,
        source=mutated(receipt.source),
        target=mutated(receipt.target),
        recorded_at=receipt.recorded_at,
    )


def customer_balance(view: BalanceView) -> CustomerBalance:
    return CustomerBalance(
        customer_id=view.customer_id,
        posted=view.balance.posted,
        held=view.balance.held,
        available=view.balance.available,
        pending=view.balance.pending,
        expiring=view.expiring,
        as_of=view.as_of,
    )
