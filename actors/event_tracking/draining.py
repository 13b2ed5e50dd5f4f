"""Takes events from the disk to the database, in batches, at a pace that leaves room for others."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import attrs
import msgspec
import structlog
import trio

from actors.event_tracking.messages import Parcel
from actors.event_tracking.metrics import TrackingMetrics
from actors.event_tracking.pacing import Pace
from actors.event_tracking.packing import EventRow, decoded_rows
from actors.event_tracking.queries import SELECT_THROUGH
from actors.event_tracking.records import Spilled, decode_spilled
from actors.event_tracking.stock import DiskState, Stock
from actors.event_tracking.storing import Guard, Plan, plan_for
from runtime import ActorSystem, Backoff
from runtime.parking import monotonic
from runtime.spool import Record, Spool, SpoolError
from runtime.storage import CommitUnknown, ConstraintViolation, Database, StorageError
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.event_tracking")

BATCH_RECORDS = 2_000

ENOUGH_EVENTS = 1_000
LINGER_S = 0.2
"""Fewer events than that wait for more, so that a trickle does not make a commit of each."""

PAUSE_MAX_S = 1.0

ACKNOWLEDGE_EVERY_S = 1.0
"""The database knows what it has; the disk is told now and then."""

AGAIN = Backoff(initial_s=0.2, max_s=2.0)
"""Between attempts while the database is away."""

VIOLATIONS_MAX = 3
"""After so many in a row it is a record's own fault, and records go one by one."""

SOURCE = "evs"
"""Prefix of the ids of sources."""


@attrs.frozen
class Batch:
    """Events of one transaction. `events` counts all that leave where they come from with it,
    those included that the database has already. `last` is the sequence of the last record."""

    rows: Sequence[EventRow]
    events: Mapping[str, int]
    guards: Sequence[Guard] = ()
    last: int = 0


@attrs.define(eq=False)
class Drainer:
    """`wake` is called when there is more to do. A spool may come and go.

    Records go in their order. What is in memory goes past the disk only while that fails, and
    after all that the disk has. Drops are told along with either.
    """

    _system: ActorSystem
    _database: Database
    _stock: Stock
    _metrics: TrackingMetrics
    _spool: Spool | None = None
    _read_through: int = 0
    _acknowledged_at: float = 0.0
    _through: dict[str, int] = attrs.field(factory=dict)
    _violations: int = 0
    _in_doubt: Plan | None = None
    _own_source: str = ""
    _more: trio.Event = attrs.field(factory=trio.Event)
    _pace: Pace = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._pace = Pace(self._system.foreground)

    def wake(self) -> None:
        self._more.set()

    def use(self, spool: Spool | None) -> None:
        """From now on drain this one."""
        self._spool = spool
        self._read_through = spool.statistics().acknowledged if spool is not None else 0
        self.wake()

    async def run(self) -> None:
        """Drain whatever comes, until cancelled."""
        self._own_source = self._system.ids.new(SOURCE)
        failures, trouble = 0, Trouble(log, "events_not_stored", "events_stored_again")
        while True:
            try:
                pause_s = await self._step()
                failures = 0
                trouble.ended()
            except (StorageError, SpoolError) as error:
                failures += 1
                trouble.failed(error, waiting=self._stock.on_disk)
                pause_s = AGAIN.delay_s(failures + 1, self._system.random)
            await trio.sleep(pause_s)

    async def _step(self) -> float:
        """Do one batch, or wait for it; how long to rest then."""
        began = self._pace.begin()
        await self._resolve()
        records = await self._read()
        if records:
            await self._from_disk(await self._batch_of(records))
        elif self._past_the_disk or self._stock.drops():
            await self._from_memory()
        else:
            await self._acknowledge()
            await self._wait()
            return 0.0
        return min(PAUSE_MAX_S, self._pace.rest_s(began))

    @property
    def _past_the_disk(self) -> bool:
        return self._stock.disk is not DiskState.WRITING and len(self._stock.ring) > 0

    async def _wait(self) -> None:
        await self._more.wait()
        self._more = trio.Event()
        if self._stock.on_disk < ENOUGH_EVENTS:
            await trio.sleep(LINGER_S)

    # What comes next

    async def _read(self) -> list[Record]:
        if self._spool is None:
            return []
        limit = 1 if self._violations >= VIOLATIONS_MAX else BATCH_RECORDS
        return await self._spool.read(self._read_through, limit, self._pace.batch_bytes)

    async def _batch_of(self, records: Sequence[Record]) -> Batch:
        rows: list[EventRow] = []
        events: Counter[str] = Counter()
        guards: dict[str, Guard] = {}
        for record in records:
            spilled = self._decoded(record)
            if spilled is None:
                continue
            events[spilled.merchant_id] += spilled.events
            source = spilled.source
            if source not in self._through:
                self._through[source] = await self._look_up(source)
            guard = guards.get(source) or Guard(source, self._through[source], 0)
            if spilled.number <= max(guard.before, guard.through):
                continue
            guards[source] = attrs.evolve(guard, through=spilled.number)
            rows += decoded_rows(spilled.rows)
            await trio.lowlevel.checkpoint()
        return Batch(rows, events, tuple(guards.values()), records[-1].sequence)

    def _decoded(self, record: Record) -> Spilled | None:
        try:
            return decode_spilled(record.payload)
        except msgspec.MsgspecError as error:
            self._metrics.dropped.labels("unreadable").inc()
            log.error("event_record_unreadable", sequence=record.sequence, error=str(error)[:500])
            return None

    async def _look_up(self, source: str) -> int:
        return await self._database.fetch_value(SELECT_THROUGH, source) or 0

    # Storing it

    async def _from_disk(self, batch: Batch) -> None:
        if batch.rows:
            await self._commit(batch, self._stock.left_disk)
        else:
            self._stock.left_disk(batch.events)
        self._read_through = batch.last
        if monotonic() - self._acknowledged_at > ACKNOWLEDGE_EVERY_S:
            await self._acknowledge()

    async def _from_memory(self) -> None:
        """Past the disk. What is in doubt then is put back, and found by the ids of its events."""
        ring = self._stock.ring
        async with self._stock.taking:
            parcels = ring.take(self._pace.batch_bytes) if self._past_the_disk else []
            try:
                await self._commit(self._batch_in_memory(parcels), self._stock.left_ring)
            except BaseException:
                ring.put_back()
                raise

    def _batch_in_memory(self, parcels: Sequence[Parcel]) -> Batch:
        events: Counter[str] = Counter()
        for parcel in parcels:
            events[parcel.merchant_id] += parcel.events
        rows = [row for parcel in parcels for row in decoded_rows(parcel.rows)]
        before = self._through.setdefault(self._own_source, 0)
        return Batch(rows, events, (Guard(self._own_source, before, before + 1),))

    async def _commit(self, batch: Batch, left: Callable[[Mapping[str, int]], None]) -> None:
        """Raises `StorageError` when it is not known to be done; `left` hears of it if it is."""
        drops = self._stock.drops()
        async with self._stock.committing:
            now = self._system.clock.now()
            try:
                plan = await plan_for(self._database, batch.rows, drops, batch.guards, now)
                await self._write(plan)
            except ConstraintViolation as error:
                self._through.clear()
                self._violations += 1
                if self._violations <= VIOLATIONS_MAX + 1:
                    raise
                self._refuse(batch, error)
            left(batch.events)
        self._violations = 0

    async def _write(self, plan: Plan) -> None:
        began = monotonic()
        try:
            await self._database.transact(plan.queries)
        except CommitUnknown:
            self._in_doubt = plan
            raise
        finally:
            self._pace.wrote(monotonic() - began)
        self._written(plan)

    def _written(self, plan: Plan) -> None:
        for guard in plan.guards:
            self._through[guard.source] = guard.through
        self._stock.told(plan.drops, plan.changes)
        for change in plan.changes.values():
            self._metrics.stored.inc(change.stored)
            self._metrics.deduplicated.inc(change.deduplicated)
            self._metrics.conflicts.inc(change.conflicts)

    async def _resolve(self) -> None:
        """Find out what became of a transaction that was in doubt."""
        plan = self._in_doubt
        if plan is None:
            return
        through = {guard.source: await self._look_up(guard.source) for guard in plan.guards}
        self._in_doubt = None
        if all(through[guard.source] >= guard.through for guard in plan.guards):
            self._written(plan)
        self._through |= through

    def _refuse(self, batch: Batch, error: ConstraintViolation) -> None:
        """Give up what the database does not take, so that the rest gets on."""
        log.error("events_refused", events=sum(batch.events.values()), error=str(error)[:500])
        for merchant_id, events in batch.events.items():
            self._stock.drop(merchant_id, events, "refused", self._metrics)

    async def _acknowledge(self) -> None:
        if self._spool is not None and self._spool.statistics().acknowledged < self._read_through:
            await self._spool.acknowledge(self._read_through)
        self._acknowledged_at = monotonic()
