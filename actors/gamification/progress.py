"""What a member is shown: how far each achievement is, decided without I/O."""

from collections.abc import Iterable
from datetime import datetime

import attrs

from actors.gamification.awarding import Achievement, Held
from actors.gamification.evaluation import Now
from actors.gamification.messages import (
    BadgeState,
    Comparison,
    Progress,
    Recurrence,
    Rule,
    Status,
)
from actors.gamification.periods import ALWAYS, ONCE, Period, day_text
from actors.gamification.player_state import PlayerState


@attrs.frozen
class Measured:
    """A rule at this moment: what it measures, or why that is not known."""

    window: Period
    now: Now | None
    reason: str | None


def progress_of(achievement: Achievement, state: PlayerState, measured: Measured) -> Progress:
    rule, window = achievement.terms.rule, measured.window
    earned = _earned(achievement, state, window)
    mine = [held for held in state.held.values() if _is_of(achievement, held)]
    reason = measured.reason or state.skips.get(achievement.achievement_id)
    value = measured.now.value if measured.now is not None else None
    bounded = window.name != ALWAYS
    return Progress(
        achievement_id=achievement.achievement_id,
        name=achievement.terms.name,
        badge_id=achievement.terms.badge_id,
        metric=rule.metric,
        target=rule.target,
        comparison=rule.comparison,
        status=_status(earned, reason),
        value=value,
        missing=max(0, needed(rule) - value) if value is not None else None,
        percent=percent(rule, value) if value is not None else None,
        period=window.name,
        counts_from=day_text(window.first) if bounded else None,
        counts_until=day_text(window.last) if bounded else None,
        earned=len(mine),
        earned_at=_latest(mine),
        reason=reason if earned is None else None,
    )


def needed(rule: Rule) -> int:
    """The smallest value with which the rule holds."""
    return rule.target + (rule.comparison is Comparison.MORE_THAN)


def percent(rule: Rule, value: int) -> int:
    """Full only when the rule holds."""
    return max(0, min(100, value * 100 // needed(rule)))


def _status(earned: Held | None, reason: str | None) -> Status:
    if earned is not None:
        return Status.EARNED
    return Status.SKIPPED if reason is not None else Status.IN_PROGRESS


def _earned(achievement: Achievement, state: PlayerState, window: Period) -> Held | None:
    once = achievement.terms.recurrence is Recurrence.ONCE
    held = state.held.get((achievement.terms.badge_id, ONCE if once else window.name))
    return held if held is not None and held.state is BadgeState.AWARDED else None


def _is_of(achievement: Achievement, held: Held) -> bool:
    mine = held.achievement_id == achievement.achievement_id
    return mine and held.state is BadgeState.AWARDED


def _latest(held: Iterable[Held]) -> datetime | None:
    return max((each.earned_at for each in held), default=None)
