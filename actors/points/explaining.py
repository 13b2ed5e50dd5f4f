"""Explaining a transaction: its postings, its lots, and the earn rule with its inputs."""

from actors.points.explanation_messages import (
    Explanation,
    LotMovementView,
    PostingView,
    PromotionExplained,
    RuleExplained,
)
from actors.points.ledger import MultipliedRuleUse, PromotedRuleUse, PromotionUse, RuleUse
from actors.points.messages import LedgerEntry, Rounding
from actors.points.promotions import NO_LIMIT, recomputed_bonus
from actors.points.queries import SELECT_BY_ID, SELECT_MOVEMENTS_BY_ID, SELECT_POSTINGS_OF, with_ids
from actors.points.records import balance_of, rule_use_of
from actors.points.rewards import redemption_of
from actors.points.rules import PLAIN_PERCENT, recomputed, recomputed_own
from actors.points.transfers import transfer_of
from runtime.storage import Database, Row


async def explain(database: Database, merchant_id: str, transaction_id: str) -> Explanation | None:
    """None where the merchant has no such transaction."""
    ids = [transaction_id]
    rows, postings, movements = await database.fetch_many(
        [
            with_ids(SELECT_BY_ID, merchant_id, ids),
            (SELECT_POSTINGS_OF, (merchant_id, transaction_id)),
            with_ids(SELECT_MOVEMENTS_BY_ID, merchant_id, ids),
        ]
    )
    if not rows:
        return None
    row = rows[0]
    opened = (
        [LotMovementView(row["lot_id"], row["lot_amount"], row["expires_at"])]
        if row["lot_amount"] is not None
        else []
    )
    moved = [LotMovementView(m["lot_id"], m["points"], m["expires_at"]) for m in movements]
    return Explanation(
        row["customer_id"],
        ledger_entry(row),
        tuple(PostingView(each["account"], each["points"]) for each in postings),
        (*opened, *moved),
        _rule(rule_use_of(row["rule"])) if row["rule"] is not None else None,
    )


def _rule(use: RuleUse) -> RuleExplained:
    promoted = use if isinstance(use, PromotedRuleUse) else None
    own = recomputed_own(use)
    return RuleExplained(
        version=use.version,
        currency=use.currency,
        total_minor=use.total_minor,
        points=use.points,
        per_amount_minor=use.per_amount_minor,
        multiplier_percent=(
            use.multiplier_percent if isinstance(use, MultipliedRuleUse) else PLAIN_PERCENT
        ),
        rounding=Rounding(use.rounding),
        recomputed=recomputed(use),
        promotions=tuple(_promotion(each, own) for each in promoted.promotions) if promoted else (),
        rules_version=promoted.rules_version if promoted else None,
        rules_age_s=promoted.rules_age_s if promoted else 0,
    )


def _promotion(use: PromotionUse, own: int) -> PromotionExplained:
    return PromotionExplained(
        campaign_id=use.campaign_id,
        version=use.version,
        kind=use.kind,
        percent=use.percent,
        points=use.points,
        target=use.target,
        counted=use.counted,
        before=use.before,
        reached=use.reached,
        left=use.left if use.left != NO_LIMIT else None,
        bonus=use.bonus,
        money_minor=use.money_minor,
        recomputed=recomputed_bonus(use, own),
    )


def ledger_entry(row: Row) -> LedgerEntry:
    """A transaction as people read it, from its row."""
    rule = row["rule"]
    return LedgerEntry(
        row["transaction_id"],
        row["sequence"],
        row["kind"],
        row["amount"],
        row["reason"],
        row["order_id"],
        row["hold_id"],
        row["reverses"],
        transfer_of(row["business_key"]),
        redemption_of(row["business_key"]),
        rule[0] if rule is not None else None,
        row["effective_at"],
        row["recorded_at"],
        balance_of(row),
    )
