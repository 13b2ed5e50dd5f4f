"""What may be asked of a single transaction: everything that it did, and why."""

from datetime import datetime

import attrs

from actors.points.messages import LedgerEntry, Rounding
from runtime.message import Call


@attrs.frozen(kw_only=True)
class PromotionExplained:
    """What a campaign added, by the version of it that was in force, and from what.

    Of a multiplier `percent`; of the others `points`; of a goal, this order counted `counted` after
    `before`, towards `target`. `left` is what budgets allowed at most, None without any.
    `recomputed` is what all this makes now.
    """

    campaign_id: str
    version: int
    kind: str
    percent: int
    points: int
    target: int
    counted: int
    before: int
    reached: int
    left: int | None
    bonus: int
    money_minor: int
    recomputed: int


@attrs.frozen(kw_only=True)
class RuleExplained:
    """Why an order earned what it did. `recomputed` is what rule and inputs make now, with what
    campaigns added: the `promotions`, by rules of the version `rules_version`. Where campaigns
    could not be asked, these had been heard of `rules_age_s` before; else that is 0."""

    version: int
    currency: str
    total_minor: int
    points: int
    per_amount_minor: int
    multiplier_percent: int
    rounding: Rounding
    recomputed: int
    promotions: tuple[PromotionExplained, ...] = ()
    rules_version: int | None = None
    rules_age_s: int = 0


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
