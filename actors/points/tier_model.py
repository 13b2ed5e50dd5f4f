"""Which tier a member has: a pure function of the program, what counts, and the tier before."""

import re
from datetime import UTC, datetime, timedelta

import attrs

from actors.points.tier_messages import (
    TIERS_MAX,
    CalendarUnit,
    Downgrade,
    Metric,
    TierTerms,
    Window,
)
from actors.vocabulary import CURRENCY_PATTERN, ID_PATTERN, MAX_AMOUNT, Refusal, RefusalKind

MAX_ROLLING_DAYS = 3_660
MONTHS = {CalendarUnit.MONTH: 1, CalendarUnit.QUARTER: 3, CalendarUnit.YEAR: 12}
CHECK_EVERY = timedelta(days=1)
"""How often a member who has a tier is looked at, although nothing happens."""

NO_TIER = -1


@attrs.frozen
class MemberTier:
    """What is kept of a member; `number` counts the changes of the row. The tier is None where
    the member has none."""

    number: int
    tier_id: str | None
    since: datetime
    kept_until: datetime | None
    next_check_at: datetime | None


def check_terms(terms: TierTerms) -> Refusal | None:
    """What must hold of a program."""
    window = terms.window
    if (window.rolling_days is None) is (window.calendar is None):
        return _invalid("the window is either rolling_days or calendar")
    if window.rolling_days is not None and not 1 <= window.rolling_days <= MAX_ROLLING_DAYS:
        return _invalid(f"rolling_days must be 1 to {MAX_ROLLING_DAYS}")
    if not 1 <= len(terms.tiers) <= TIERS_MAX:
        return _invalid(f"there must be 1 to {TIERS_MAX} tiers")
    if (terms.metric is Metric.SPEND) is (terms.currency is None):
        return _invalid("spend is counted in a currency, and points in none")
    if terms.currency is not None and not re.fullmatch(CURRENCY_PATTERN, terms.currency):
        return _invalid("not an ISO 4217 code")
    return _check_tiers(terms)


def _check_tiers(terms: TierTerms) -> Refusal | None:
    ids = [tier.tier_id for tier in terms.tiers]
    if len(set(ids)) < len(ids) or not all(re.fullmatch(ID_PATTERN, id_) for id_ in ids):
        return _invalid("every tier has an id of its own")
    thresholds = [tier.threshold for tier in terms.tiers]
    if thresholds != sorted(set(thresholds)) or not 0 <= thresholds[0] <= thresholds[-1] <= (
        MAX_AMOUNT
    ):
        return _invalid(f"thresholds must rise from tier to tier, from 0 to {MAX_AMOUNT}")
    return None


def _invalid(detail: str) -> Refusal:
    return Refusal(RefusalKind.INVALID, "invalid_tiers", detail)


def counts_from(window: Window, now: datetime) -> datetime:
    """What is effective after this counts now."""
    if window.rolling_days is not None:
        return now - timedelta(days=window.rolling_days)
    return _unit_start(window, now) - timedelta(microseconds=1)


def _unit_start(window: Window, now: datetime) -> datetime:
    months = MONTHS[window.calendar] if window.calendar is not None else 1
    return datetime(now.year, (now.month - 1) // months * months + 1, 1, tzinfo=UTC)


def kept_until(terms: TierTerms, now: datetime) -> datetime | None:
    """Until when a tier that is qualified for now is kept, whatever follows."""
    if terms.downgrade in (Downgrade.IMMEDIATE, Downgrade.NEVER):
        return None
    window = terms.window
    if window.rolling_days is not None:
        return now + timedelta(days=window.rolling_days)
    months = MONTHS[window.calendar] if window.calendar is not None else 1
    start = _unit_start(window, now)
    count = start.year * 12 + start.month - 1 + 2 * months
    return datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC)


def reached(terms: TierTerms, qualifying: int) -> int:
    """The place of the highest tier that so much qualifies for; `NO_TIER` where none."""
    return sum(tier.threshold <= qualifying for tier in terms.tiers) - 1


def place_of(terms: TierTerms, tier_id: str | None) -> int:
    """A tier's place in the program; `NO_TIER` for none, and for one that there is no more."""
    ids = [tier.tier_id for tier in terms.tiers]
    return ids.index(tier_id) if tier_id in ids else NO_TIER


def evaluate(
    terms: TierTerms, member: MemberTier | None, qualifying: int, now: datetime
) -> MemberTier:
    """The member's tier now. `number` and `since` change only with the tier."""
    before = place_of(terms, member.tier_id if member is not None else None)
    reach = reached(terms, qualifying)
    place = reach if reach >= before else _fallen(terms, member, before, reach, now)
    renewed = place != before or reach >= before
    until = kept_until(terms, now) if renewed or member is None else member.kept_until
    tier_id = terms.tiers[place].tier_id if place > NO_TIER else None
    check_at = now + CHECK_EVERY if tier_id is not None else None
    if tier_id is None:
        until = None
    if until is not None and check_at is not None and now < until < check_at:
        check_at = until
    if member is not None and member.tier_id == tier_id:
        return attrs.evolve(member, kept_until=until, next_check_at=check_at)
    number = member.number + 1 if member is not None else 1
    return MemberTier(number, tier_id, now, until, check_at)


def _fallen(
    terms: TierTerms, member: MemberTier | None, before: int, reach: int, now: datetime
) -> int:
    """Where a member stands who no longer qualifies for the tier at the place `before`."""
    if terms.downgrade is Downgrade.NEVER:
        return before
    kept = member.kept_until if member is not None else None
    if terms.downgrade is not Downgrade.IMMEDIATE and kept is not None and now < kept:
        return before
    return before - 1 if terms.downgrade is Downgrade.ONE_STEP else reach
