"""The actor that hears of customers who are erased, or turn out to be others, and obeys."""

from typing import Any, ClassVar, Final

import msgspec
import structlog
import trio

from actors.core.messages import CUSTOMERS_MERGED, CustomerErased, CustomersMerged
from actors.event_tracking.queries import (
    FOLLOW_MERGER,
    FORGET_EVENTS,
    MOVE_EVENTS,
    NOTE_GONE,
    SELECT_UNSETTLED,
    SETTLE,
)
from actors.event_tracking.stock import Stock
from runtime import Actor
from runtime.context import under_trace
from runtime.outbox import Deliver, OutboxEvent
from runtime.storage import Database, StorageError
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.event_tracking")

STEP_ROWS: Final = 500
PAUSE_S: Final = 0.05
"""Between two transactions, so that others get at the database."""

CUSTOMERS_AT_ONCE: Final = 100
LOOK_EVERY_S: Final = 3_600.0
"""Should another process have noted somebody and not come to the end."""

AGAIN_S: Final = 30.0
"""After the database was away."""


class Forgetter(Actor):
    """Notes who is gone, and then goes through the events of those who are.

    The note is written between two commits of events: each later one sees it, so that what waits
    on the disk, or comes back from it, is treated alike.
    """

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError,)

    def __init__(self, database: Database, stock: Stock) -> None:
        self._database = database
        self._stock = stock
        self._noted = trio.Event()

    async def started(self) -> None:
        self.start_task(self._keep_settling)

    async def receive(self, message: Any) -> object:
        if not isinstance(message, Deliver):
            return await super().receive(message)
        for event in message.events:
            with under_trace(event.trace_id):
                await self._note(event)
        self._noted.set()
        return None

    async def _note(self, event: OutboxEvent) -> None:
        into = None
        if event.topic == CUSTOMERS_MERGED:
            merged = msgspec.convert(event.payload, CustomersMerged)
            customer_id, into = merged.customer_id, merged.into
        else:
            customer_id = msgspec.convert(event.payload, CustomerErased).customer_id
        now, merchant_id = self.system.clock.now(), event.merchant_id
        async with self._stock.committing:
            await self._database.transact(
                [
                    (NOTE_GONE, (merchant_id, customer_id, into, now)),
                    (FOLLOW_MERGER, (merchant_id, customer_id, into)),
                ]
            )

    async def _keep_settling(self) -> None:
        trouble = Trouble(log, "events_not_forgotten", "events_forgotten_again")
        while True:
            wait_s = LOOK_EVERY_S
            try:
                while await self._settle_some():
                    pass
                trouble.ended()
            except StorageError as error:
                trouble.failed(error)
                wait_s = AGAIN_S
            with trio.move_on_after(wait_s):
                await self._noted.wait()
            self._noted = trio.Event()

    async def _settle_some(self) -> bool:
        rows = await self._database.fetch(SELECT_UNSETTLED, CUSTOMERS_AT_ONCE)
        for row in rows:
            await self._settle(row[0], row[1], row[2])
        return bool(rows)

    async def _settle(self, merchant_id: str, customer_id: str, into: str | None) -> None:
        changed = STEP_ROWS
        while changed == STEP_ROWS:
            values = (merchant_id, customer_id, STEP_ROWS)
            if into is None:
                changed = len(await self._database.execute(FORGET_EVENTS, *values))
            else:
                changed = len(await self._database.execute(MOVE_EVENTS, *values, into))
            await trio.sleep(PAUSE_S)
        await self._database.execute(SETTLE, merchant_id, customer_id, into)
