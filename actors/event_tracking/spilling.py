"""The actor that takes events from memory to the disk, and has them drained to the database."""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from errno import EDQUOT, EFBIG, ENOSPC
from itertools import count
from typing import Final

import msgspec
import structlog
import trio

from actors.event_tracking.draining import SOURCE, Drainer
from actors.event_tracking.messages import Importance, Parcel
from actors.event_tracking.metrics import TrackingMetrics, tracking_metrics
from actors.event_tracking.packing import merged
from actors.event_tracking.records import decode_spilled, encode_spilled
from actors.event_tracking.stock import DiskState, Stock
from runtime import Actor, ExitReason
from runtime.spool import Spool, SpoolError, SpoolFull
from runtime.storage import Database
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.event_tracking")

OpenSpool = Callable[[], Awaitable[Spool]]

GATHER_S: Final = 0.02
"""How long events wait in memory for others, so that one write and one sync take them all."""

GROUP_BYTES: Final = 1024 * 1024
"""Of one write. As soon as there is so much, it waits no longer."""

RECORD_BYTES_MAX: Final = 256 * 1024
"""Of small parcels that become one record."""

TRY_AGAIN_S: Final = 0.5
"""After the disk was full, or failed."""

OPEN_AGAIN_S: Final = 2.0

FLUSH_LIMIT_S: Final = 5.0
"""For the last write of an orderly stop."""

READ_RECORDS: Final = 1_000
READ_BYTES: Final = 4 * 1024 * 1024

ROOM: Final = {Importance.LOW: 0.8, Importance.NORMAL: 0.95, Importance.HIGH: 1.0}
"""How far the disk's share may be used up by events of an importance. What is above that is for
those that are more important."""


class Spiller(Actor):
    """Every event goes through the disk, so that the end of the process loses no more than what
    came in the last moments. While the disk fails, they stay in memory, as far as there is room,
    and go to the database from there."""

    def __init__(
        self, database: Database, open_spool: OpenSpool, stock: Stock, bytes_max: int
    ) -> None:
        self._database = database
        self._open_spool = open_spool
        self._stock = stock
        self._bytes_max = bytes_max
        self._spool: Spool | None = None
        self._source = ""
        self._numbers = count(1)
        self._metrics: TrackingMetrics
        self._drainer: Drainer

    async def started(self) -> None:
        self._metrics = tracking_metrics(self.system.metrics.registry)
        self._metrics.watch(
            lambda: self._stock.in_memory, lambda: self._stock.on_disk, self._bytes_used
        )
        self._source = self.system.ids.new(SOURCE)
        self._drainer = Drainer(self.system, self._database, self._stock, self._metrics)
        self._closed = Trouble(log, "spill_file_not_open", "spill_file_open")
        self._failing = Trouble(log, "spill_file_fails", "spill_file_works_again", at_once=True)
        await self._try_to_open()
        self.start_task(self._live)
        self.start_task(self._drainer.run)

    async def stopped(self, reason: ExitReason) -> None:
        """What is in memory is written before the end."""
        with trio.move_on_after(FLUSH_LIMIT_S):
            while len(self._stock.ring) and await self._flush():
                pass

    # The file

    async def _live(self) -> None:
        """Write what comes, until cancelled."""
        try:
            while True:
                if self._spool is None:
                    self._stock.disk = DiskState.FAILING
                    self._drainer.wake()
                    await trio.sleep(OPEN_AGAIN_S)
                    await self._try_to_open()
                elif await self._gathered() and not await self._flush():
                    self._drainer.wake()
                    await trio.sleep(TRY_AGAIN_S)
        finally:
            spool, self._spool = self._spool, None
            if spool is not None:
                await spool.close()

    async def _try_to_open(self) -> None:
        try:
            spool = await self._open_spool()
        except SpoolError as error:
            self._closed.failed(error)
            return
        try:
            self._stock.found_on_disk(await self._looked_through(spool))
        except BaseException as error:
            await spool.close()
            if not isinstance(error, SpoolError):
                raise
            self._closed.failed(error)
            return
        self._closed.ended()
        self._spool, self._stock.disk = spool, DiskState.WRITING
        self._drainer.use(spool)

    async def _looked_through(self, spool: Spool) -> Counter[str]:
        """How many events of which merchant wait there."""
        found = spool.statistics()
        if found.cut_bytes:
            log.warning("events_cut", bytes=found.cut_bytes)
        if found.lost:
            log.error("event_records_lost", records=found.lost)
            self._metrics.dropped.labels("unreadable").inc(found.lost)
        events: Counter[str] = Counter()
        sequence = found.acknowledged
        while records := await spool.read(sequence, READ_RECORDS, READ_BYTES):
            for record in records:
                events.update(_counted(record.payload))
            sequence = records[-1].sequence
        if events:
            log.info("events_found", events=sum(events.values()))
        return events

    def _bytes_used(self) -> float:
        return self._spool.statistics().bytes if self._spool is not None else 0

    # Writing

    async def _gathered(self) -> bool:
        stock = self._stock
        if not len(stock.ring):
            stock.arrived = trio.Event()
            await stock.arrived.wait()
        if stock.ring.bytes < GROUP_BYTES:
            await trio.sleep(GATHER_S)
        return True

    async def _flush(self) -> bool:
        """Write the oldest of what is in memory; whether the disk took it."""
        spool, stock = self._spool, self._stock
        if spool is None:
            return False
        async with stock.taking:
            parcels = stock.ring.take(GROUP_BYTES, self._least(spool))
            if not parcels:
                stock.disk = DiskState.FULL if len(stock.ring) else stock.disk
                return not len(stock.ring)
            payloads = [
                encode_spilled(self._source, next(self._numbers), parcel)
                for parcel in _by_merchant(parcels)
            ]
            with trio.CancelScope(shield=True):  # a write that happened is one that is known of
                try:
                    await spool.append(payloads)
                except SpoolError as error:
                    stock.ring.put_back()
                    stock.disk = DiskState.FULL if _is_full(error) else DiskState.FAILING
                    self._failing.failed(error)
                    return False
            stock.spilled(parcels)
        stock.disk = DiskState.WRITING
        self._failing.ended()
        self._drainer.wake()
        return True

    def _least(self, spool: Spool) -> Importance:
        """The least importance that there is still room for."""
        used = spool.statistics().bytes / self._bytes_max
        return next((each for each in Importance if used < ROOM[each]), Importance.HIGH)


def _is_full(error: SpoolError) -> bool:
    cause = error.__cause__
    return isinstance(error, SpoolFull) or (
        isinstance(cause, OSError) and cause.errno in {ENOSPC, EDQUOT, EFBIG}
    )


def _by_merchant(parcels: Sequence[Parcel]) -> list[Parcel]:
    """As few parcels as hold the same events, those of each merchant in their order."""
    runs: defaultdict[str, list[list[Parcel]]] = defaultdict(list)
    sizes: dict[str, int] = {}
    for parcel in parcels:
        merchant_id, size = parcel.merchant_id, len(parcel.rows)
        if not runs[merchant_id] or sizes[merchant_id] + size > RECORD_BYTES_MAX:
            runs[merchant_id].append([])
            sizes[merchant_id] = 0
        runs[merchant_id][-1].append(parcel)
        sizes[merchant_id] += size
    return [merged(run) for some in runs.values() for run in some]


def _counted(payload: bytes) -> dict[str, int]:
    """What is unreadable is told when its turn comes to be stored."""
    try:
        spilled = decode_spilled(payload)
    except msgspec.MsgspecError:
        return {}
    return {spilled.merchant_id: spilled.events}
