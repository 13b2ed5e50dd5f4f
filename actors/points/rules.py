"""Earn rules: how many points an order earns, and until when they last."""

from datetime import datetime, timedelta

import attrs

from actors.points.ledger import MultipliedRuleUse, PromotedRuleUse, PromotionUse, RuleUse
from actors.points.messages import EarnForOrder, EarnRule, Rounding, SetEarnRule
from actors.points.promotions import recomputed_bonus
from actors.vocabulary import MAX_AMOUNT, Refusal, RefusalKind

MAX_POINTS_PER_STEP = 10**6
MAX_EXPIRY_DAYS = 36_500
MAX_MULTIPLIER_PERCENT = 10_000
PLAIN_PERCENT = 100

USUAL_MINOR_DIGITS = 2
MINOR_DIGITS = {
    **dict.fromkeys(
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0
    ),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}
"""Digits after the point of the currencies of ISO 4217 that do not have two."""


def builtin_rule(currency: str) -> EarnRule:
    """Version 0: one point per major unit, without expiry."""
    step = 10 ** MINOR_DIGITS.get(currency, USUAL_MINOR_DIGITS)
    return EarnRule(0, currency, points=1, per_amount_minor=step, expires_after_days=None)


def next_rule(current: EarnRule, wanted: SetEarnRule) -> EarnRule | Refusal:
    """The version after `current`; `current` itself where nothing would change."""
    refusal = _check(wanted)
    if refusal is not None:
        return refusal
    rule = EarnRule(
        current.version + 1,
        wanted.currency,
        wanted.points,
        wanted.per_amount_minor,
        wanted.expires_after_days,
        wanted.multiplier_percent,
        wanted.rounding,
    )
    return current if attrs.evolve(rule, version=current.version) == current else rule


def _check(wanted: SetEarnRule) -> Refusal | None:
    if not 0 <= wanted.points <= MAX_POINTS_PER_STEP:
        return _invalid(f"points must be 0 to {MAX_POINTS_PER_STEP}")
    if not 1 <= wanted.per_amount_minor <= MAX_AMOUNT:
        return _invalid(f"per_amount_minor must be 1 to {MAX_AMOUNT}")
    if not 1 <= wanted.multiplier_percent <= MAX_MULTIPLIER_PERCENT:
        return _invalid(f"multiplier_percent must be 1 to {MAX_MULTIPLIER_PERCENT}")
    days = wanted.expires_after_days
    if days is not None and not 1 <= days <= MAX_EXPIRY_DAYS:
        return _invalid(f"expires_after_days must be 1 to {MAX_EXPIRY_DAYS}")
    return None


def _invalid(detail: str) -> Refusal:
    return Refusal(RefusalKind.INVALID, "invalid_earn_rule", detail)


def points_for(rule: EarnRule, total_minor: int) -> int:
    """The points of an order: whole numbers all the way, rounded once."""
    return _points(
        total_minor, rule.points, rule.per_amount_minor, rule.multiplier_percent, rule.rounding
    )


def _points(total_minor: int, points: int, step: int, percent: int, rounding: Rounding) -> int:
    if rounding is Rounding.DOWN_PER_ORDER:
        return total_minor // step * points * percent // PLAIN_PERCENT
    share, whole = total_minor * points * percent, step * PLAIN_PERCENT
    if rounding is Rounding.UP:
        return -(-share // whole)
    return (2 * share + whole) // (2 * whole)


def expiry_of(rule: EarnRule, earned_at: datetime) -> datetime | None:
    if rule.expires_after_days is None:
        return None
    return earned_at + timedelta(days=rule.expires_after_days)


def rule_use(
    rule: EarnRule, order: EarnForOrder, promotions: tuple[PromotionUse, ...] = ()
) -> RuleUse:
    """What the entry keeps, so that it can be explained and computed again."""
    kept = (
        rule.version,
        rule.currency,
        order.total_minor,
        rule.points,
        rule.per_amount_minor,
        rule.rounding.value,
    )
    asked = order.promotions
    if promotions or asked.age_s:
        return PromotedRuleUse(
            *kept, rule.multiplier_percent, asked.version, asked.age_s, promotions
        )
    if rule.multiplier_percent == PLAIN_PERCENT:
        return RuleUse(*kept)
    return MultipliedRuleUse(*kept, rule.multiplier_percent)


def recomputed(use: RuleUse) -> int:
    """The points that a kept rule and its inputs make, with what campaigns added."""
    own = recomputed_own(use)
    if not isinstance(use, PromotedRuleUse):
        return own
    return own + sum(recomputed_bonus(each, own) for each in use.promotions)


def recomputed_own(use: RuleUse) -> int:
    """The points of the merchant's own rule."""
    percent = use.multiplier_percent if isinstance(use, MultipliedRuleUse) else PLAIN_PERCENT
    rounding = Rounding(use.rounding)
    return _points(use.total_minor, use.points, use.per_amount_minor, percent, rounding)
