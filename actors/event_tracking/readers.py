"""The actor that reads each merchant's events, their counts, and what became of them."""

from datetime import UTC, datetime
from math import inf
from typing import Any, ClassVar, Final

import trio

from actors.event_tracking.messages import (
    CountEvents,
    GetTotals,
    HourCount,
    ListEvents,
    StoredEvent,
    Totals,
)
from actors.event_tracking.queries import (
    COUNT_EVENTS,
    FILTERS,
    LIST_EVENTS,
    SELECT_DROPS,
    SELECT_TOTALS,
)
from actors.event_tracking.stock import Durable, Stock
from actors.paging import Moment, clamp_limit, decode_cursor, page
from actors.vocabulary import Page, Refusal
from runtime import ActorError, Workers
from runtime.storage import Database, StorageError, StorageUnavailable

EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
LATEST: Final = datetime.max.replace(tzinfo=UTC)

COMMIT_PATIENCE_S: Final = 0.5
"""How long a question waits for a commit under way before it is answered from memory."""


class EventReaders(Workers):
    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database, stock: Stock) -> None:
        super().__init__()
        self._database = database
        self._stock = stock

    async def receive(self, message: Any) -> object:
        match message:
            case ListEvents():
                return await self._list(message)
            case CountEvents():
                return await self._count(message)
            case GetTotals():
                return await self._totals(message.merchant_id)
        return await super().receive(message)

    async def _list(self, message: ListEvents) -> Page[StoredEvent] | Refusal:
        limit = clamp_limit(message.limit)
        start = (message.since or EARLIEST, "")
        after = decode_cursor(message.cursor, tuple[Moment, str], start)
        if isinstance(after, Refusal):
            return after
        wanted = [each for each in (message.type, message.customer_id) if each is not None]
        query = LIST_EVENTS % FILTERS[message.type is not None, message.customer_id is not None]
        rows = await self._database.fetch(
            query, message.merchant_id, *after, message.until or LATEST, limit + 1, *wanted
        )
        return page(
            rows,
            limit,
            lambda row: StoredEvent(*row),
            lambda row: [row["occurred_at"].isoformat(), row["message_id"]],
        )

    async def _count(self, message: CountEvents) -> Page[HourCount] | Refusal:
        limit = clamp_limit(message.limit)
        start = (message.since or EARLIEST, "")
        after = decode_cursor(message.cursor, tuple[Moment, str], start)
        if isinstance(after, Refusal):
            return after
        until = message.until or LATEST
        rows = await self._database.fetch(
            COUNT_EVENTS, message.merchant_id, *after, until, message.type, limit + 1
        )
        return page(
            rows,
            limit,
            lambda row: HourCount(*row),
            lambda row: [row["hour"].isoformat(), row["type"]],
        )

    async def _totals(self, merchant_id: str) -> Totals:
        """What the database says and what is in memory belong together only between two commits;
        else, or while the database is away, what it said last, with all that came since."""
        failure: StorageError = StorageUnavailable("events are being written")
        with trio.move_on_after(COMMIT_PATIENCE_S) as patience:
            async with self._stock.committing:
                patience.deadline = inf
                try:
                    self._stock.learn(merchant_id, await self._durable(merchant_id))
                except StorageError as error:
                    failure = error
        totals = self._stock.totals(merchant_id)
        if totals is None:
            raise failure
        return totals

    async def _durable(self, merchant_id: str) -> Durable:
        totals, drops = await self._database.fetch_many(
            [(SELECT_TOTALS, (merchant_id,)), (SELECT_DROPS, (merchant_id,))]
        )
        reasons = {row[0]: row[1] for row in drops}
        if not totals:
            return Durable()
        accepted, stored, deduplicated, conflicts, dropped = totals[0]
        return Durable(accepted, stored, deduplicated, conflicts, dropped, reasons)
