"""Patterns in simulations: matched in place, without a process, where none of them spins."""

import re
from typing import Any

from actors.gamification.matching import Match
from runtime import Actor


class PatternsInPlace(Actor):
    """Answers as the actor with processes does."""

    async def receive(self, message: Any) -> object:
        if not isinstance(message, Match):
            return await super().receive(message)
        pattern = re.compile(message.pattern)
        return tuple(pattern.fullmatch(sku) is not None for sku in message.skus)
