"""Earn rules: how many points an order earns, and until when they last."""

from datetime import datetime, timedelta

from actors.points.ledger import ROUND_DOWN_PER_ORDER, RuleUse
from actors.points.messages import EarnForOrder, EarnRule, SetEarnRule
from actors.vocabulary import MAX_AMOUNT, Refusal, RefusalKind

MAX_POINTS_PER_STEP = 10**6
MAX_EXPIRY_DAYS = 36_500

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
    terms = (wanted.points, wanted.per_amount_minor, wanted.expires_after_days)
    if terms == (current.points, current.per_amount_minor, current.expires_after_days):
        return current
    return EarnRule(current.version + 1, wanted.currency, *terms)


def _check(wanted: SetEarnRule) -> Refusal | None:
    if not 0 <= wanted.points <= MAX_POINTS_PER_STEP:
        return _invalid(f"points must be 0 to {MAX_POINTS_PER_STEP}")
    if not 1 <= wanted.per_amount_minor <= MAX_AMOUNT:
        return _invalid(f"per_amount_minor must be 1 to {MAX_AMOUNT}")
    days = wanted.expires_after_days
    if days is not None and not 1 <= days <= MAX_EXPIRY_DAYS:
        return _invalid(f"expires_after_days must be 1 to {MAX_EXPIRY_DAYS}")
    return None


def _invalid(detail: str) -> Refusal:
    return Refusal(RefusalKind.INVALID, "invalid_earn_rule", detail)


def points_for(rule: EarnRule, total_minor: int) -> int:
    """Points for every full step of the total."""
    return _points(total_minor, rule.per_amount_minor, rule.points)


def _points(total_minor: int, per_amount_minor: int, points: int) -> int:
    return total_minor // per_amount_minor * points


def expiry_of(rule: EarnRule, earned_at: datetime) -> datetime | None:
    if rule.expires_after_days is None:
        return None
    return earned_at + timedelta(days=rule.expires_after_days)


def rule_use(rule: EarnRule, order: EarnForOrder) -> RuleUse:
    """What the entry keeps, so that it can be explained and computed again."""
    return RuleUse(
        rule.version,
        rule.currency,
        order.total_minor,
        rule.points,
        rule.per_amount_minor,
        ROUND_DOWN_PER_ORDER,
    )


def recomputed(use: RuleUse) -> int:
    """The points that a kept rule and its inputs make."""
    return _points(use.total_minor, use.per_amount_minor, use.points)
