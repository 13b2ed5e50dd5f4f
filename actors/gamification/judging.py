"""Evaluating all rules of a merchant for one customer, within limits: what fails is skipped."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import attrs
import trio
from trio.lowlevel import checkpoint

from actors.gamification.awarding import Achievement, Judged
from actors.gamification.counting import NO_MATCHES, Matches
from actors.gamification.evaluation import Reach, reached
from actors.gamification.history import History
from actors.gamification.known_matches import KnownMatches
from actors.gamification.limits import EVENT_LIMIT_S
from actors.gamification.messages import Recurrence, Rule
from runtime.parking import monotonic
from runtime.system import ActorSystem
from runtime.texts import storable

REASON_CHARACTERS_MAX: Final = 300

RULES_AT_ONCE: Final = 20
"""Before other tasks get a turn; well below a millisecond."""

NO_TIME: Final = f"the rules before it took the {EVENT_LIMIT_S:g} s that all have together"

Judge = Callable[[Rule, Recurrence, History, Iterable[int] | None, Matches], Sequence[Reach]]


@attrs.frozen
class Verdicts:
    """What came of the rules; `skipped` has reasons by achievement."""

    judged: tuple[Judged, ...]
    skipped: dict[str, str]


@attrs.frozen
class Bench:
    """Judges. `judge` evaluates one rule: whatever it raises, the others are evaluated."""

    system: ActorSystem
    known: KnownMatches
    judge: Judge = reached

    async def judge_all(
        self,
        achievements: Iterable[Achievement],
        history: History,
        days: frozenset[int] | None,
        complete: Callable[[Achievement], bool],
    ) -> Verdicts:
        """Each rule for what something on one of `days` may have changed, or for all where
        `complete` says so."""
        judged: list[Judged] = []
        skipped: dict[str, str] = {}
        until = monotonic() + EVENT_LIMIT_S
        for number, achievement in enumerate(achievements, 1):
            if number % RULES_AT_ONCE == 0:
                await checkpoint()
            whole = days is None or complete(achievement)
            try:
                reaches = await self._judge(achievement, history, None if whole else days, until)
            except Exception as error:
                skipped[achievement.achievement_id] = reason_of(error)
            else:
                judged.append(Judged(achievement, reaches, whole))
        return Verdicts(tuple(judged), skipped)

    async def _judge(
        self, achievement: Achievement, history: History, days: Iterable[int] | None, until: float
    ) -> Sequence[Reach]:
        """Raises whatever the rule does, and `TimeoutError`."""
        if monotonic() >= until:
            raise TimeoutError(NO_TIME)
        rule = achievement.terms.rule
        matches = await self.matches(rule, history, until)
        return self.judge(rule, achievement.terms.recurrence, history, days, matches)

    async def matches(self, rule: Rule, history: History, until: float) -> Matches:
        """What is to be known of a rule's pattern. Raises as `KnownMatches.of`, `TimeoutError`."""
        if rule.sku_pattern is None:
            return NO_MATCHES
        with trio.move_on_at(until):
            return await self.known.of(self.system, rule.sku_pattern, history.skus())
        raise TimeoutError(NO_TIME)


def reason_of(error: Exception) -> str:
    """Why a rule was skipped, for people."""
    return storable(f"{type(error).__name__}: {error}", REASON_CHARACTERS_MAX)
