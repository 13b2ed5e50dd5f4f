"""The clock of campaigns: has those moved whose schedule says so."""

from datetime import datetime
from typing import Any, ClassVar

import attrs
import structlog

from actors.campaign.messages import CAMPAIGNS
from actors.campaign.queries import FIRST_DUE, NEXT_DUE, SELECT_DUE
from runtime import Actor, ActorError, Call, Cast
from runtime.coalescing import until_next
from runtime.storage import Database, StorageError
from runtime.trouble import Trouble

CLOCK = "campaign.clock"
"""Name of the clock. Only the domain itself speaks to it."""

LOOK_S = 10.0
"""Longest time between two looks at the clock, which may be set meanwhile."""

SHORTEST_S = 0.05
AT_ONCE = 100

log = structlog.get_logger("loyalnest.campaign")


@attrs.frozen
class ComeDue(Call[None]):
    """To `CAMPAIGNS`: do what the campaign's schedule says for now."""

    merchant_id: str
    campaign_id: str


@attrs.frozen
class LookAgain(Cast):
    """To the clock: something may be due, or sooner than it was."""


class Clock(Actor):
    """What is due stands in the campaigns' rows, so that nothing is forgotten by a restart: what
    came due meanwhile is done at the first look."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        self._database = database
        self._trouble = Trouble(log, "campaigns_not_looked_at", "campaigns_looked_at_again")

    async def started(self) -> None:
        self.timers.start("look", SHORTEST_S, LookAgain())

    async def receive(self, message: Any) -> object:
        if not isinstance(message, LookAgain):
            return await super().receive(message)
        try:
            pause_s = await self._look()
            self._trouble.ended()
        except (StorageError, ActorError) as error:
            self._trouble.failed(error)
            pause_s = LOOK_S
        self.timers.start("look", pause_s, LookAgain())
        return None

    async def _look(self) -> float:
        """Move what is due; seconds until the next look."""
        now = self.system.clock.now()
        upcoming = await self._database.fetch_value(FIRST_DUE)
        if upcoming is not None and upcoming <= now:
            await self._move_due(now)
            upcoming = await self._database.fetch_value(NEXT_DUE, now)
        if upcoming is None:
            return until_next(LOOK_S)
        left_s: float = (upcoming - self.system.clock.now()).total_seconds()
        return min(until_next(LOOK_S), max(SHORTEST_S, left_s))

    async def _move_due(self, now: datetime) -> None:
        due = await self._database.fetch(SELECT_DUE, now, AT_ONCE)
        for row in due:
            await self.system.ref(CAMPAIGNS).ask(ComeDue(row["merchant_id"], row["campaign_id"]))
