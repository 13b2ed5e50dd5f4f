"""Awarding and revoking badges: decided from what the rules reached, without I/O."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import attrs

from actors.gamification.evaluation import Reach
from actors.gamification.messages import AchievementTerms, BadgeState

BadgeKey = tuple[str, str]
"""Badge and period: a customer has each once."""


@attrs.frozen(kw_only=True)
class Achievement:
    """An achievement that is in force."""

    achievement_id: str
    version: int
    terms: AchievementTerms

    def key(self, reach: Reach) -> BadgeKey:
        return self.terms.badge_id, reach.period


@attrs.frozen(kw_only=True)
class Held:
    """A badge as it is stored. `number` counts its changes."""

    badge_id: str
    period: str
    number: int
    state: BadgeState
    achievement_id: str
    achievement_version: int
    value: int
    earned_at: datetime
    revoked_at: datetime | None = None

    @property
    def key(self) -> BadgeKey:
        return self.badge_id, self.period


@attrs.frozen
class Judged:
    """What one achievement's rule reached. `complete`: in all periods that there are, so that what
    is missing is not reached any more."""

    achievement: Achievement
    reached: Sequence[Reach]
    complete: bool


Badges = Mapping[BadgeKey, Held]


def award_changes(held: Badges, judged: Iterable[Judged], now: datetime) -> list[Held]:
    """The badges that change, as they are afterwards; each once."""
    told = list(judged)
    changes: dict[BadgeKey, Held] = {}
    reached = {each.achievement.key(reach) for each in told for reach in each.reached}
    for each in told:
        for reach in each.reached:
            key = each.achievement.key(reach)
            known = held.get(key)
            earned = known is not None and known.state is BadgeState.AWARDED
            if not earned and key not in changes:
                changes[key] = _awarded(each.achievement, reach, known, now)
    complete = {each.achievement.achievement_id: each for each in told if each.complete}
    for key, known in held.items():
        lost = known.state is BadgeState.AWARDED and key not in reached
        if lost and _may_revoke(known, complete.get(known.achievement_id)):
            changes[key] = _revoked(known, now)
    return list(changes.values())


def _may_revoke(known: Held, judged: Judged | None) -> bool:
    """A badge of an earlier version of its rule is kept: it was earned by that one."""
    if judged is None or not judged.achievement.terms.revocable:
        return False
    return known.achievement_version == judged.achievement.version


def _awarded(achievement: Achievement, reach: Reach, known: Held | None, now: datetime) -> Held:
    return Held(
        badge_id=achievement.terms.badge_id,
        period=reach.period,
        number=known.number + 1 if known is not None else 1,
        state=BadgeState.AWARDED,
        achievement_id=achievement.achievement_id,
        achievement_version=achievement.version,
        value=reach.value,
        earned_at=now,
    )


def _revoked(known: Held, now: datetime) -> Held:
    return attrs.evolve(known, number=known.number + 1, state=BadgeState.REVOKED, revoked_at=now)
