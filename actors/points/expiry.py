"""The actor that posts what comes due in accounts nobody touches."""

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


@attrs.frozen
class LookForDue(Cast):
    """To itself."""


class Expiry(Actor):
    """Every `PERIOD_S`, asks all accounts with something due to settle."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError,)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def started(self) -> None:
        self.timers.start("look", PERIOD_S, LookForDue(), periodic=True)

    async def receive(self, message: Any) -> object:
        if not isinstance(message, LookForDue):
            return await super().receive(message)
        while await self._settle_some():
            pass
        return None

    async def _settle_some(self) -> bool:
        """Settle up to `BATCH` accounts; whether there may be more."""
        now = self.system.clock.now()
        rows = await self._database.fetch(SELECT_DUE, now, BATCH)
        settled: list[bool] = []
        async with trio.open_nursery() as nursery:
            for row in rows:
                nursery.start_soon(self._settle, AccountKey(row[0], row[1]), settled)
        return len(rows) == BATCH and any(settled)

    async def _settle(self, key: AccountKey, settled: list[bool]) -> None:
        try:
            count = await self.system.entities(ACCOUNTS).ref(key).ask(Settle())
        except (ActorError, StorageError) as error:
            log.warning("settle_failed", error=str(error)[:500])
            count = 0
        settled.append(count > 0)
