"""The actor that counts the texts of which nobody tells, for the alert."""

from datetime import timedelta

import structlog
import trio

from actors.referrals.message_queries import COUNT_UNCONFIRMED
from actors.referrals.metrics import ReferralMetrics
from runtime import Actor
from runtime.registries import in_registry
from runtime.storage import Database, StorageError
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.referrals")

EVERY_S = 60.0
SETTLED = timedelta(minutes=10)
"""A text that is younger may still be on its way."""

WINDOW = timedelta(hours=1)


class TextWatch(Actor):
    """Counts what the database has, whoever sent it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def started(self) -> None:
        self._metrics = in_registry(self.system.metrics.registry, ReferralMetrics)
        self.start_task(self._keep_counting)

    async def _keep_counting(self) -> None:
        trouble = Trouble(log, "texts_not_counted", "texts_counted_again")
        while True:
            try:
                await self._count()
                trouble.ended()
            except StorageError as error:
                trouble.failed(error)
            await trio.sleep(EVERY_S)

    async def _count(self) -> None:
        until = self.system.clock.now() - SETTLED
        row = await self._database.fetch_row(COUNT_UNCONFIRMED, until - WINDOW, until)
        watched, unconfirmed = (row[0], row[1]) if row is not None else (0, 0)
        self._metrics.watched.set(watched)
        self._metrics.unconfirmed.set(unconfirmed)
