"""The actor that deletes events that have been kept for long enough."""

from datetime import datetime, timedelta
from typing import Any, Final

import attrs
import structlog
import trio

from actors.event_tracking.queries import (
    DELETE_OLD_EVENTS,
    DELETE_OLD_HOURS,
    PRUNE_SOURCES,
    SELECT_MERCHANTS,
)
from runtime import Actor, Cast
from runtime.storage import Database, StorageError
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.event_tracking")

EVERY_S: Final = 3_600.0
STEP_ROWS: Final = 500
STEPS_MAX: Final = 2_000
"""Of one merchant at a time. What is left then waits for the next time."""

PAUSE_S: Final = 0.05
"""Between two steps, so that others get at the database."""

MERCHANTS_AT_ONCE: Final = 500

HOURS_KEPT: Final = timedelta(days=400)
SOURCES_KEPT: Final = timedelta(days=90)
"""For a spill file that is found again after so long."""


@attrs.frozen
class DeleteOld(Cast):
    """To itself."""


class Retention(Actor):
    """Once an hour, merchant by merchant. What was received within `kept` stays, so that it is
    recognised when it comes again; so does what occurred within it."""

    def __init__(self, database: Database, kept: timedelta) -> None:
        self._database = database
        self._kept = kept
        self._trouble = Trouble(log, "events_not_deleted", "events_deleted_again")

    async def started(self) -> None:
        self.timers.start("delete", EVERY_S, DeleteOld(), periodic=True)

    async def receive(self, message: Any) -> object:
        if not isinstance(message, DeleteOld):
            return await super().receive(message)
        try:
            await self._delete_old(self.system.clock.now())
            self._trouble.ended()
        except StorageError as error:
            self._trouble.failed(error)
        return None

    async def _delete_old(self, now: datetime) -> None:
        await self._database.execute(PRUNE_SOURCES, now - SOURCES_KEPT)
        after = ""
        while True:
            rows = await self._database.fetch(SELECT_MERCHANTS, after, MERCHANTS_AT_ONCE)
            for row in rows:
                await self._delete_of(row[0], now)
            if len(rows) < MERCHANTS_AT_ONCE:
                return
            after = rows[-1][0]

    async def _delete_of(self, merchant_id: str, now: datetime) -> None:
        await self._database.execute(DELETE_OLD_HOURS, merchant_id, now - HOURS_KEPT)
        before = now - self._kept
        for _ in range(STEPS_MAX):
            gone = await self._database.execute(DELETE_OLD_EVENTS, merchant_id, before, STEP_ROWS)
            if len(gone) < STEP_ROWS:
                return
            await trio.sleep(PAUSE_S)
