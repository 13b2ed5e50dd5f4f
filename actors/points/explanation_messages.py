"""What may be asked of a single transaction: everything that it did, and why."""

from datetime import datetime

import attrs

from actors.points.messages import LedgerEntry, Rounding
from runtime.message import Call


@attrs.frozen(kw_only=True)
class RuleExplained:
    """Why an order earned what it did. `recomputed` is what rule and inputs make now."""

    version: int
    currency: str
    total_minor: int
    points: int
    per_amount_minor: int
    multiplier_percent: int
    rounding: Rounding
    recomputed: int


@attrs.frozen
class PostingView:
    account: str
    points: int


@attrs.frozen
class LotMovementView:
    """Points that a transaction put into a lot, or (negative) took out of it."""

    lot_id: str
    points: int
    expires_at: datetime | None


@attrs.frozen
class Explanation:
    """A transaction with everything that it did, and, of an order, the rule it earned by."""

    customer_id: str
    entry: LedgerEntry
    postings: tuple[PostingView, ...]
    lots: tuple[LotMovementView, ...]
    rule: RuleExplained | None


@attrs.frozen
class Explain(Call[Explanation | None]):
    """To `QUERIES`."""

    merchant_id: str
    transaction_id: str
