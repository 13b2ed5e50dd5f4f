"""Tracked events: what reached the disk is stored, what was dropped is counted, and all adds up."""

from collections import Counter
from random import Random
from typing import ClassVar

import attrs
import msgspec

from actors.event_tracking.messages import (
    QUERIES,
    TRACKER,
    Accepted,
    GetTotals,
    Importance,
    Totals,
    Track,
)
from actors.event_tracking.packing import decoded_rows, pack
from actors.event_tracking.records import decode_spilled
from runtime import ActorError
from runtime.sim import FaultSpec, Operation, Run, SimulatedSystem, Trouble
from runtime.storage import StorageError
from supervisors.simulation.parts import MERCHANT, ApplicationScenario, Part
from supervisors.simulation.tree import TARGETS

ADDS_UP = "events add up"
KEPT = "events on the disk are stored"

SELECT_IDS = "SELECT message_id FROM tracked_events WHERE merchant_id = $1"
SELECT_TOTALS = (
    "SELECT accepted, stored, deduplicated, conflicts, dropped FROM event_totals"
    " WHERE merchant_id = $1"
)
SUM_HOURS = "SELECT COALESCE(sum(events), 0) FROM event_hours WHERE merchant_id = $1"
SUM_DROPS = "SELECT COALESCE(sum(events), 0) FROM event_drops WHERE merchant_id = $1"

PROPERTIES = {"page": "/roses/twelve-long-stemmed-ones", "list": [1, 2, 3], "referrer": "mail"}


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as a client sends it."""

    message_id: str
    occurred_at: object
    importance: str
    type: str = "page_viewed"
    customer_id: str | None = "ann"
    properties: dict[str, object] = msgspec.field(default_factory=lambda: dict(PROPERTIES))


@attrs.frozen
class TrackEvents(Operation):
    """`again`: some that were sent before, as far as there are."""

    events: int
    importance: str
    again: bool

    def __str__(self) -> str:
        return f"track {self.events} events{' again' if self.again else ''}, {self.importance}"


@attrs.frozen
class AddUp(Operation):
    def __str__(self) -> str:
        return "add up the totals of events"


class Events(Part):
    """Clients that send events and do not mind what becomes of them, and one that counts."""

    operations: ClassVar[tuple[type[Operation], ...]] = (TrackEvents, AddUp)

    def __init__(self) -> None:
        self.sent = 0
        self.on_disk: set[str] = set()

    def draw(self, random: Random) -> Operation:
        if random.random() < 0.3:
            return AddUp()
        importance = random.choice([each.name.lower() for each in Importance])
        return TrackEvents(random.randint(1, 12), importance, random.random() < 0.25)

    async def perform(self, run: Run, operation: Operation) -> None:
        match operation:
            case TrackEvents():
                await self._track(run, operation)
            case AddUp():
                await _add_up(run)
        self._look_at_disk(run)

    async def _track(self, run: Run, operation: TrackEvents) -> None:
        first = max(0, self.sent - operation.events) if operation.again else self.sent
        numbers = range(first, first + operation.events)
        self.sent = max(self.sent, numbers.stop)

        async def track(system: SimulatedSystem) -> Accepted:
            now = system.clock.now()
            events = [
                Sent(
                    message_id=f"sent-{number}",
                    occurred_at=now,
                    importance=operation.importance,
                )
                for number in numbers
            ]
            parcels = pack(MERCHANT, events, now)  # type: ignore[arg-type]
            return await system.ref(TRACKER).ask(Track(tuple(parcels)))

        answer = await run.ask(track)
        if answer is not None:
            detail = f"{answer} for {operation.events} events"
            run.findings.check(answer.accepted == operation.events, ADDS_UP, detail)

    def _look_at_disk(self, run: Run) -> None:
        for record in run.world.spill.real.records:
            spilled = decode_spilled(record.payload)
            self.on_disk.update(row.message_id for row in decoded_rows(spilled.rows))

    async def at_rest(self, run: Run) -> bool:
        system = await run.service.up()
        try:
            totals = await system.ref(QUERIES).ask(GetTotals(MERCHANT))
        except (ActorError, StorageError):
            return False
        return not totals.buffered and not run.world.spill.real.records

    async def check(self, run: Run) -> None:
        await _add_up(run)
        store = run.world.store.real
        ids = {row[0] for row in await store.fetch(SELECT_IDS, MERCHANT)}
        lost = sorted(self.on_disk - ids)
        run.findings.check(not lost, KEPT, f"{len(lost)} are missing, {lost[:3]} among them")
        totals = await store.fetch_row(SELECT_TOTALS, MERCHANT)
        if totals is None:
            run.findings.check(not ids, ADDS_UP, f"{len(ids)} events, and no totals")
            return
        accepted, stored, deduplicated, _conflicts, dropped = totals
        detail = f"{len(ids)} are there, the totals say {stored}"
        run.findings.check(stored == len(ids), ADDS_UP, detail)
        detail = f"{accepted} accepted, {stored} + {deduplicated} + {dropped} told"
        run.findings.check(accepted == stored + deduplicated + dropped, ADDS_UP, detail)
        sums = Counter(hours=await store.fetch_value(SUM_HOURS, MERCHANT))
        sums["drops"] = await store.fetch_value(SUM_DROPS, MERCHANT)
        detail = f"{sums} for {stored} stored and {dropped} dropped"
        run.findings.check(sums == Counter(hours=stored, drops=dropped), ADDS_UP, detail)


async def _add_up(run: Run) -> None:
    async def get(system: SimulatedSystem) -> Totals:
        return await system.ref(QUERIES).ask(GetTotals(MERCHANT))

    told = await run.ask(get)
    if told is not None:
        parts = told.stored + told.deduplicated + told.dropped + told.buffered
        run.findings.check(told.accepted == parts, ADDS_UP, str(told))


class EventsScenario(ApplicationScenario):
    """Events while processes crash and disk and database come and go."""

    name = "events"
    parts = (Events,)
    faults = FaultSpec(
        targets=TARGETS,
        troubles=(*Trouble, Trouble.STORE_AWAY, Trouble.STORE_AWAY, Trouble.DISK_BROKEN),
    )
