"""The event_tracking domain alone: its disk, its database and its clock are the test's."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import trio

from actors.event_tracking.messages import (
    FORGETTER,
    QUERIES,
    TRACKER,
    Accepted,
    CountEvents,
    GetTotals,
    HourCount,
    ListEvents,
    StoredEvent,
    Totals,
    Track,
)
from actors.event_tracking.packing import pack
from actors.event_tracking.spilling import OpenSpool
from actors.event_tracking.stock import Stock
from actors.event_tracking.supervisor import (
    MIGRATIONS,
    SPILLER,
    TrackingSpec,
    event_tracking_children,
    spill_limits,
)
from actors.vocabulary import Page
from runtime import ActorSystem, Backoff, ChildSpec, Supervisor
from runtime.outbox import Deliver, OutboxEvent
from runtime.ports import seeded_ports
from runtime.spool import MemoryDisk, MemorySpool
from runtime.storage import RUNTIME_MIGRATIONS, CommitUnknown, StorageUnavailable, migrate
from runtime.storage.sqlite import SqliteDatabase, open_sqlite_memory
from runtime.telemetry import Metrics
from tests.stores import patient, unhurried

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
MERCHANT = "shop"
LOOKS_MAX = 2_000
LOOK_S = 0.1


@attrs.define(eq=False)
class Moody:
    """A database in memory that is away, or slow, or loses the connection in its next commits:
    `unknown` says of each whether it happened."""

    real: SqliteDatabase
    away: bool = False
    slow_s: float = 0.0
    unknown: list[bool] = attrs.field(factory=list)
    commits: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    async def fetch(self, sql: str, *values: Any) -> Any:
        await self._reached()
        return await self.real.fetch(sql, *values)

    async def fetch_many(self, queries: Any) -> Any:
        await self._reached()
        return await self.real.fetch_many(queries)

    async def fetch_value(self, sql: str, *values: Any) -> Any:
        await self._reached()
        return await self.real.fetch_value(sql, *values)

    async def execute(self, sql: str, *values: Any) -> Any:
        await self._reached()
        return await self.real.execute(sql, *values)

    async def transact(self, statements: Any) -> None:
        await self._reached()
        happens = self.unknown.pop(0) if self.unknown else None
        if happens is not False:
            await self.real.transact(statements)
            self.commits += 1
        if happens is not None:
            raise CommitUnknown("the connection was lost (a test)")

    async def _reached(self) -> None:
        await trio.sleep(self.slow_s)
        if self.away:
            raise StorageUnavailable("the database is away (a test)")


@attrs.frozen(kw_only=True)
class Sent:
    """An event as a client sends it."""

    message_id: str
    type: str = "page_viewed"
    customer_id: str | None = None
    occurred_at: datetime = START
    properties: dict[str, Any] = attrs.field(factory=dict)
    importance: str = "normal"


def sent(numbers: range, **fields: Any) -> list[Sent]:
    return [Sent(message_id=f"message-{number}", **fields) for number in numbers]


@attrs.define
class World:
    system: ActorSystem
    database: Moody
    disk: MemoryDisk
    stock: Stock

    async def track(self, events: Sequence[Sent], merchant_id: str = MERCHANT) -> Accepted:
        parcels = pack(merchant_id, events, self.system.clock.now())
        return await self.system.ref(TRACKER).ask(Track(tuple(parcels)))

    async def totals(self, merchant_id: str = MERCHANT) -> Totals:
        """Which add up, whenever one looks."""
        told = await self.system.ref(QUERIES).ask(GetTotals(merchant_id))
        parts = told.stored + told.deduplicated + told.dropped + told.buffered
        assert told.accepted == parts, told
        assert told.dropped == sum(told.reasons.values())
        return told

    async def settled(self, merchant_id: str = MERCHANT) -> Totals:
        """The totals once nothing waits any more."""
        for _ in range(LOOKS_MAX):
            told = await self.totals(merchant_id)
            if not told.buffered and not self.stock.drops():
                return told
            await trio.sleep(LOOK_S)
        raise AssertionError(f"it never came to rest: {told}")

    async def stored(self, merchant_id: str = MERCHANT, **wanted: Any) -> tuple[StoredEvent, ...]:
        question = ListEvents(merchant_id=merchant_id, limit=200, **wanted)
        found = await self.system.ref(QUERIES).ask(question)
        assert isinstance(found, Page)
        return found.items

    async def counts(self) -> tuple[HourCount, ...]:
        found = await self.system.ref(QUERIES).ask(CountEvents(merchant_id=MERCHANT, limit=200))
        assert isinstance(found, Page)
        return found.items

    async def deliver(self, topic: str, **payload: Any) -> None:
        event = OutboxEvent(MERCHANT, "event-1", topic, "key", payload, START)
        await self.system.ref(FORGETTER).ask(Deliver((event,)))

    async def really(self, sql: str) -> list[Any]:
        """Done past all moods of the database."""
        with unhurried():
            rows: list[Any] = await self.database.real.execute(sql)
        return rows

    async def kill_spiller(self) -> None:
        self.system.ref(SPILLER).kill()
        await trio.sleep(1.0)


@attrs.define(eq=False)
class Machine:
    """What outlives processes."""

    disk: MemoryDisk = attrs.field(factory=MemoryDisk)
    database: Moody = attrs.field(factory=lambda: Moody(open_sqlite_memory()))
    migrated: bool = False
    started: int = 0

    @asynccontextmanager
    async def process(
        self,
        spill_bytes_max: int = 1_000_000,
        ring_bytes_max: int = 1_000_000,
        open_spool: OpenSpool | None = None,
    ) -> AsyncIterator[World]:
        """One that stops in order at the end of the block."""
        if not self.migrated:
            with unhurried():
                await migrate(self.database.real, (RUNTIME_MIGRATIONS, MIGRATIONS), START)
            self.migrated = True
        self.started += 1
        stock, limits = Stock(ring_bytes_max), spill_limits(spill_bytes_max)

        async def open_in_memory() -> MemorySpool:
            return await MemorySpool.open(self.disk, limits)

        def root() -> Supervisor:
            spec = TrackingSpec(kept=timedelta(days=7), spill_bytes_max=spill_bytes_max)
            opens = open_spool or open_in_memory
            children = event_tracking_children(patient(self.database), opens, stock, spec)
            return Supervisor(children, intensity=100, period_s=1.0, backoff=Backoff())

        ports = seeded_ports(self.started, START)
        async with ActorSystem(ports, Metrics()).run(
            ChildSpec("root", root, name="root", shutdown_s=30.0)
        ) as system:
            yield World(system, self.database, self.disk, stock)
