"""What is known of patterns and article numbers, so that each pair is matched once."""

from collections.abc import Iterable
from math import inf
from typing import Final

import attrs

from actors.gamification.counting import Matches
from actors.gamification.limits import EVENT_LIMIT_S
from actors.gamification.matching import PATTERNS, Match
from runtime.parking import monotonic
from runtime.processes import WorkerEnded
from runtime.system import ActorSystem

PATTERNS_MAX: Final = 500
SKUS_MAX: Final = 20_000
"""Of one pattern."""

HELD_S, HELD_MAX_S = 30.0, 3_600.0


class PatternHeld(Exception):
    """The pattern took too long lately. It is not tried until some time has passed."""


@attrs.define
class KnownPattern:
    """Matches by article number; `failures` in a row, after which it is held until `until`."""

    matches: dict[str, bool] = attrs.field(factory=dict)
    failures: int = 0
    until: float = -inf


class KnownMatches:
    """Shared by the players of a tree."""

    def __init__(self) -> None:
        self._patterns: dict[str, KnownPattern] = {}

    async def of(self, system: ActorSystem, pattern: str, skus: Iterable[str]) -> Matches:
        """Whether each of `skus` matches, asking for those that are not known.

        Raises `PatternHeld`, `WorkerFailed` when a pattern took too long, and `ActorError`.
        """
        known = self._known(pattern)
        missing = sorted(set(skus) - known.matches.keys())
        if missing and monotonic() < known.until:
            raise PatternHeld("the pattern took too long before, and is not tried again yet")
        if missing:
            await self._ask(system, pattern, tuple(missing[:SKUS_MAX]), known)
        return known.matches

    async def _ask(
        self, system: ActorSystem, pattern: str, skus: tuple[str, ...], known: KnownPattern
    ) -> None:
        try:
            found = await system.ref(PATTERNS).ask(Match(pattern, skus), timeout_s=EVENT_LIMIT_S)
        except WorkerEnded:
            known.until = monotonic() + min(HELD_S * 2.0**known.failures, HELD_MAX_S)
            known.failures += 1
            raise
        known.failures = 0
        known.matches.update(zip(skus, found, strict=True))

    def _known(self, pattern: str) -> KnownPattern:
        known = self._patterns.setdefault(pattern, KnownPattern())
        if len(known.matches) > SKUS_MAX:
            known.matches = {}
        while len(self._patterns) > PATTERNS_MAX:
            del self._patterns[next(iter(self._patterns))]
        return known
