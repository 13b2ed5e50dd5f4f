"""What must hold of the definitions that merchants make."""

import re
from typing import Final

from actors.gamification.messages import (
    MAX_TARGET,
    MONEY,
    AchievementTerms,
    BadgeTerms,
    BoardTerms,
    Metric,
    Recurrence,
    Rule,
    ScoreTerms,
    Terms,
)
from actors.vocabulary import CURRENCY_PATTERN, ID_PATTERN, Refusal, RefusalKind

MAX_DAYS: Final = 3_660
MAX_GRACE_DAYS: Final = 30
MAX_PATTERN: Final = 200
MAX_NAME, MAX_DESCRIPTION, MAX_URL = 200, 500, 500
MAX_CLOSES_AFTER_HOURS: Final = 168
MAX_SCORE_TERMS: Final = 10
MAX_WEIGHT, MAX_CAP = 1_000, 1_000


def check_definition(definition_id: str, terms: Terms) -> Refusal | None:
    """Beside what it refers to."""
    if not re.fullmatch(ID_PATTERN, definition_id):
        return _invalid("not an id")
    match terms:
        case BadgeTerms():
            return _check_badge(terms)
        case AchievementTerms():
            return _check_achievement(terms)
        case BoardTerms():
            return _check_board(terms)
        case ScoreTerms():
            return _check_score(terms)


def _check_badge(terms: BadgeTerms) -> Refusal | None:
    if len(terms.description) > MAX_DESCRIPTION:
        return _invalid(f"a description has at most {MAX_DESCRIPTION} characters")
    url = terms.image_url
    if url is not None and (not url.startswith("https://") or len(url) > MAX_URL):
        return _invalid(f"image_url begins with https:// and has at most {MAX_URL} characters")
    return _check_name(terms.name)


def _check_name(name: str) -> Refusal | None:
    if not 1 <= len(name) <= MAX_NAME:
        return _invalid(f"a name has 1 to {MAX_NAME} characters")
    return None


def _check_achievement(terms: AchievementTerms) -> Refusal | None:
    if terms.recurrence is Recurrence.EACH_PERIOD and terms.rule.window.calendar is None:
        return _invalid("what recurs in each period needs a window of the calendar")
    return _check_name(terms.name) or check_rule(terms.rule)


def check_rule(rule: Rule) -> Refusal | None:
    if not 1 <= rule.target <= MAX_TARGET:
        return _invalid(f"target must be 1 to {MAX_TARGET}")
    rolling = rule.window.rolling_days
    if rolling is not None and rule.window.calendar is not None:
        return _invalid("the window is either rolling_days or calendar")
    if rolling is not None and not 1 <= rolling <= MAX_DAYS:
        return _invalid(f"rolling_days must be 1 to {MAX_DAYS}")
    if not 0 <= rule.grace_days <= MAX_GRACE_DAYS:
        return _invalid(f"grace_days must be 0 to {MAX_GRACE_DAYS}")
    if rule.grace_days and rule.metric is not Metric.STREAK:
        return _invalid("grace_days go with a streak")
    return _check_currency(rule.metric, rule.currency) or _check_pattern(rule)


def _check_currency(metric: Metric, currency: str | None) -> Refusal | None:
    if (metric in MONEY) is (currency is None):
        return _invalid("money is counted in a currency, and nothing else is")
    if currency is not None and not re.fullmatch(CURRENCY_PATTERN, currency):
        return _invalid("not an ISO 4217 code")
    return None


def _check_pattern(rule: Rule) -> Refusal | None:
    if rule.sku_pattern is None:
        return None
    if rule.metric is not Metric.ITEMS:
        return _invalid("sku_pattern goes with items")
    if not 1 <= len(rule.sku_pattern) <= MAX_PATTERN:
        return _invalid(f"a pattern has 1 to {MAX_PATTERN} characters")
    try:
        re.compile(rule.sku_pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return _invalid(f"not a regular expression: {str(error)[:100]}")
    return None


def _check_board(terms: BoardTerms) -> Refusal | None:
    if not 0 <= terms.closes_after_hours <= MAX_CLOSES_AFTER_HOURS:
        return _invalid(f"closes_after_hours must be 0 to {MAX_CLOSES_AFTER_HOURS}")
    return _check_name(terms.name) or _check_currency(terms.metric, terms.currency)


def _check_score(terms: ScoreTerms) -> Refusal | None:
    if not 1 <= len(terms.terms) <= MAX_SCORE_TERMS:
        return _invalid(f"a score has 1 to {MAX_SCORE_TERMS} terms")
    signals = [term.signal for term in terms.terms]
    if len(set(signals)) < len(signals):
        return _invalid("each signal has one term")
    for term in terms.terms:
        if not (1 <= term.weight <= MAX_WEIGHT and 1 <= term.cap <= MAX_CAP):
            return _invalid(f"weight must be 1 to {MAX_WEIGHT}, cap 1 to {MAX_CAP}")
        if not (1 <= term.half_life_days <= MAX_DAYS and 1 <= term.within_days <= MAX_DAYS):
            return _invalid(f"half_life_days and within_days must be 1 to {MAX_DAYS}")
    return None


def _invalid(detail: str) -> Refusal:
    return Refusal(RefusalKind.INVALID, "invalid_definition", detail)
