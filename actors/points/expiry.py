"""The actor that posts what comes due in accounts nobody touches."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import attrs
import structlog
import trio

from actors.points.messages import ACCOUNTS, AccountKey, Settle
from actors.points.queries import SELECT_DUE
from runtime import Actor, ActorError, Cast
from runtime.storage import Database, StorageError

log = structlog.get_logger("loyalnest.points")

PERIOD_S = 30.0
BATCH = 200
"""Accounts settled at the same time."""

FRUITLESS_BATCHES = 5
"""After so many in a row in which no account settled, the next look goes on behind them."""


@attrs.frozen
class LookForDue(Cast):
    """To itself."""


@attrs.frozen
class Place:
    """Where an account stands among those with something due."""

    due_at: datetime
    merchant_id: str
    customer_id: str


BEGINNING = Place(datetime.min.replace(tzinfo=UTC), "", "")


class Expiry(Actor):
    """Every `PERIOD_S`, asks all accounts with something due to settle, in the order of time.

    Those that do not settle keep their place, and nobody behind them from theirs: a look passes
    them once, and one that gives up is continued by the next.
    """

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError,)

    def __init__(self, database: Database) -> None:
        self._database = database
        self._passed = BEGINNING

    async def started(self) -> None:
        self.timers.start("look", PERIOD_S, LookForDue(), periodic=True)

    async def receive(self, message: Any) -> object:
        if not isinstance(message, LookForDue):
            return await super().receive(message)
        await self._look(self.system.clock.now())
        return None

    async def _look(self, now: datetime) -> None:
        fruitless = 0
        while fruitless < FRUITLESS_BATCHES:
            places = await self._due_after(self._passed, now)
            fruitless = 0 if await self._settle_all(places) else fruitless + 1
            if len(places) < BATCH:
                self._passed = BEGINNING
                return
            self._passed = places[-1]

    async def _due_after(self, place: Place, now: datetime) -> list[Place]:
        values = (now, place.due_at, place.merchant_id, place.customer_id, BATCH)
        return [Place(*row) for row in await self._database.fetch(SELECT_DUE, *values)]

    async def _settle_all(self, places: Sequence[Place]) -> bool:
        """Whether any of these accounts settled something."""
        settled: list[bool] = []
        async with trio.open_nursery() as nursery:
            for place in places:
                key = AccountKey(place.merchant_id, place.customer_id)
                nursery.start_soon(self._settle, key, settled)
        return any(settled)

    async def _settle(self, key: AccountKey, settled: list[bool]) -> None:
        try:
            count = await self.system.entities(ACCOUNTS).ref(key).ask(Settle())
        except (ActorError, StorageError) as error:
            log.warning("settle_failed", error=str(error)[:500])
            count = 0
        settled.append(count > 0)
