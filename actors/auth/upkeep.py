"""The actor that deletes what has expired."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog
import trio

from actors.auth.queries import PRUNE, PRUNE_AGED
from runtime import Actor
from runtime.storage import Database, StorageError
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.auth")

EVERY_S = 600.0
STEP_ROWS = 500
STEPS_MAX = 100
"""Of one table at a time. What is left then waits for the next time."""

EXPIRED_KEPT = timedelta(hours=1)
AGED_KEPT = timedelta(days=90)
"""How long logins are kept for `GET /v1/admin/login-audit`, and devices that log in no more."""


class Upkeep(Actor):
    """In small steps, so that others get their turn. While the store is away it waits."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def started(self) -> None:
        self.start_task(self._keep_pruning)

    async def _keep_pruning(self) -> None:
        trouble = Trouble(log, "logins_not_pruned", "logins_pruned_again")
        while True:
            await trio.sleep(EVERY_S)
            now = self.system.clock.now()
            try:
                await self._prune(PRUNE, now - EXPIRED_KEPT)
                await self._prune(PRUNE_AGED, now - AGED_KEPT)
                trouble.ended()
            except StorageError as error:
                trouble.failed(error)

    async def _prune(self, statements: Iterable[str], before: datetime) -> None:
        for sql in statements:
            for _ in range(STEPS_MAX):
                if len(await self._database.execute(sql, before, STEP_ROWS)) < STEP_ROWS:
                    break
