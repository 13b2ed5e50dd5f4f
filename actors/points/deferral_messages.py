"""What may be said of earnings that could not reach the database, and wait on the local disk."""

from datetime import datetime
from enum import Enum

import attrs

from actors.points.messages import Earn, Receipt, Result
from actors.vocabulary import Idempotency, Refusal, RefusalKind
from runtime.message import Call


class DeferralStatus(Enum):
    """`QUEUED` until the database is back; the others are final."""

    QUEUED = "queued"
    APPLIED = "applied"
    REFUSED = "refused"
    DEAD = "dead"


@attrs.frozen
class Deferral:
    """An earning that was put off. `result` is there when `status` is final: the receipt, or why
    there is none. A dead one made its account fail again and again."""

    deferral_id: str
    customer_id: str
    status: DeferralStatus
    deferred_at: datetime
    finished_at: datetime | None = None
    result: Result | None = None


DATABASE_AWAY = Refusal(
    RefusalKind.UNAVAILABLE,
    "storage_outcome_unknown",
    "the database does not answer; it may have happened, ask again with the same key",
)
"""The intake's answer for a mutation whose account could not reach the database."""


@attrs.frozen
class DeferredEarn:
    customer_id: str
    earn: Earn


@attrs.frozen
class Defer(Call[tuple[Deferral | Receipt | Refusal, ...]]):
    """To `DEFERRALS`: put earnings off, durably, because the database is away.

    The same key and fingerprint again answer the same deferral while it is queued, and the receipt
    for a while after it was applied. A refusal means that the earning is not kept.
    """

    merchant_id: str
    earnings: tuple[DeferredEarn, ...]


@attrs.frozen
class FoundDeferrals:
    """For each key that was asked for: the deferral that is queued under it, the receipt where it
    was applied lately, a refusal when either belongs to another request, or None. `away`: the
    database did not answer just now, so that there is no use in asking it."""

    by_key: tuple[Deferral | Receipt | Refusal | None, ...]
    away: bool


@attrs.frozen
class NothingDeferred:
    """The notice of `DEFERRALS` while nothing is queued or about to be: nobody has to ask."""


@attrs.frozen
class FindDeferrals(Call[FoundDeferrals]):
    """To `DEFERRALS`: what is queued under these keys, or was applied lately. From memory."""

    merchant_id: str
    keys: tuple[Idempotency, ...]


@attrs.frozen
class GetDeferral(Call[Deferral | None]):
    """To `DEFERRALS`, which knows what is queued and what was done lately; to `QUERIES`, which
    knows what is recorded."""

    merchant_id: str
    deferral_id: str
