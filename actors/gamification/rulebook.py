"""What merchants have defined, as players need it: read once and kept for seconds."""

from collections.abc import Iterable, Mapping
from typing import Final
from zoneinfo import ZoneInfo

import attrs

from actors.core.messages import MERCHANTS, GetSettings
from actors.gamification.awarding import Achievement
from actors.gamification.engagement import BUILT_IN
from actors.gamification.messages import (
    SCORE,
    BadgeTerms,
    BoardTerms,
    Definition,
    Kind,
    ScoreTerms,
)
from actors.gamification.queries import SELECT_ALL_DEFINITIONS
from actors.gamification.records import achievement_of, definition_of
from runtime.parking import monotonic
from runtime.storage import Database
from runtime.system import ActorSystem

KEPT_S: Final = 5.0
"""After which a change by another process is seen."""

MERCHANTS_MAX: Final = 1_000


@attrs.frozen(kw_only=True)
class Board:
    """A leaderboard that is in force."""

    board_id: str
    terms: BoardTerms


@attrs.frozen(kw_only=True)
class Rules:
    """What is in force for one merchant. Achievements whose badge is inactive are left out.

    Of the customers of a merchant that has `defined` nothing, nothing is kept.
    """

    defined: bool
    zone: ZoneInfo
    achievements: tuple[Achievement, ...]
    boards: tuple[Board, ...]
    score_version: int
    score: ScoreTerms

    def achievement(self, achievement_id: str) -> Achievement | None:
        of_id = (each for each in self.achievements if each.achievement_id == achievement_id)
        return next(of_id, None)


@attrs.frozen
class Kept:
    """Rules, until a time on Trio's clock."""

    rules: Rules
    until: float


class Rulebook:
    """Shared by the actors of a tree. Who asks for the same at the same time reads it twice."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: dict[str, Kept] = {}
        self._changes = 0

    async def of(self, system: ActorSystem, merchant_id: str) -> Rules:
        """Raises `StorageError`, and `ActorError` where core does not answer."""
        kept = self._kept.get(merchant_id)
        if kept is not None and monotonic() < kept.until:
            return kept.rules
        changes = self._changes
        rules = await self._read(system, merchant_id)
        if changes != self._changes:
            return rules
        while len(self._kept) >= MERCHANTS_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[merchant_id] = Kept(rules, monotonic() + KEPT_S)
        return rules

    def forget(self, merchant_id: str) -> None:
        """Something of it was, or may have been, changed."""
        self._changes += 1
        self._kept.pop(merchant_id, None)

    async def _read(self, system: ActorSystem, merchant_id: str) -> Rules:
        rows = await self._database.fetch(SELECT_ALL_DEFINITIONS, merchant_id)
        settings = await system.ref(MERCHANTS).ask(GetSettings(merchant_id))
        found: dict[Kind, dict[str, Definition]] = {kind: {} for kind in Kind}
        for row in rows:
            definition = definition_of(Kind(row["kind"]), row)
            found[Kind(row["kind"])][definition.definition_id] = definition
        return rules_of(ZoneInfo(settings.settings.time_zone), found)


def rules_of(zone: ZoneInfo, found: Mapping[Kind, Mapping[str, Definition]]) -> Rules:
    """What is in force of these definitions."""
    score = found[Kind.SCORE].get(SCORE)
    chosen = score.terms if score is not None else None
    return Rules(
        defined=any(found.values()),
        zone=zone,
        achievements=tuple(_achievements(found)),
        boards=tuple(
            Board(board_id=definition_id, terms=definition.terms)
            for definition_id, definition in found[Kind.BOARD].items()
            if isinstance(definition.terms, BoardTerms) and definition.terms.active
        ),
        score_version=score.version if score is not None else 0,
        score=chosen if isinstance(chosen, ScoreTerms) else BUILT_IN,
    )


def _achievements(found: Mapping[Kind, Mapping[str, Definition]]) -> Iterable[Achievement]:
    badges = found[Kind.BADGE]
    for definition in found[Kind.ACHIEVEMENT].values():
        achievement = achievement_of(definition)
        badge = badges.get(achievement.terms.badge_id)
        awarded = badge is not None and isinstance(badge.terms, BadgeTerms) and badge.terms.active
        if awarded and achievement.terms.active:
            yield achievement
