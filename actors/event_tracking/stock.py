"""What the process has of events that are not stored yet, and what became of all the others.

It belongs to the process: actors that crash find it as it was. Nothing in here waits.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final

import attrs
import trio

from actors.event_tracking.messages import Accepted, Parcel, Totals
from actors.event_tracking.metrics import TrackingMetrics
from actors.event_tracking.ring import Ring

RING_BYTES_MAX: Final = 32 * 1024 * 1024

KNOWN_MAX: Final = 10_000
"""Merchants whose totals are remembered."""


class DiskState(Enum):
    """What the disk did with the last parcels. The value is why events are dropped meanwhile."""

    WRITING = "memory_full"
    FULL = "disk_full"
    FAILING = "disk_failed"


@attrs.frozen
class Durable:
    """A merchant's totals as the database has them."""

    accepted: int = 0
    stored: int = 0
    deduplicated: int = 0
    conflicts: int = 0
    dropped: int = 0
    reasons: Mapping[str, int] = attrs.field(factory=dict)

    def plus(self, more: "Durable") -> "Durable":
        return Durable(
            self.accepted + more.accepted,
            self.stored + more.stored,
            self.deduplicated + more.deduplicated,
            self.conflicts + more.conflicts,
            self.dropped + more.dropped,
            Counter(self.reasons) + Counter(more.reasons),
        )


class Stock:
    """Events in memory and on the disk, by merchant, and those dropped that the database has not
    been told of.

    `committing` is held while a commit of events is under way: until it is known what became of
    it, the database cannot be compared with what is here. `taking` is held by who has taken
    parcels from the ring.
    """

    def __init__(self, ring_bytes_max: int = RING_BYTES_MAX) -> None:
        self.ring = Ring(ring_bytes_max)
        self.disk = DiskState.WRITING
        self.committing = trio.Lock()
        self.taking = trio.Lock()
        self.arrived = trio.Event()
        self._in_ring: Counter[str] = Counter()
        self._on_disk: Counter[str] = Counter()
        self._dropped: dict[str, Counter[str]] = {}
        self._known: OrderedDict[str, Durable] = OrderedDict()

    # Coming in

    def accept(self, parcels: Iterable[Parcel], metrics: TrackingMetrics) -> Accepted:
        """Take events. Raises nothing."""
        accepted = dropped = 0
        for parcel in parcels:
            accepted += parcel.events
            _add(self._in_ring, parcel.merchant_id, parcel.events)
            for gone in self.ring.offer(parcel):
                _add(self._in_ring, gone.merchant_id, -gone.events)
                self.drop(gone.merchant_id, gone.events, self.disk.value, metrics)
                dropped += gone.events if gone is parcel else 0
        metrics.accepted.inc(accepted)
        self.arrived.set()
        return Accepted(accepted, dropped)

    def drop(self, merchant_id: str, events: int, reason: str, metrics: TrackingMetrics) -> None:
        """Count events as dropped that are counted nowhere else any more."""
        self._dropped.setdefault(merchant_id, Counter())[reason] += events
        metrics.dropped.labels(reason).inc(events)

    # On the disk

    def found_on_disk(self, events: Mapping[str, int]) -> None:
        """What the disk has, after it has been looked through."""
        self._on_disk = Counter(events)

    def spilled(self, parcels: Iterable[Parcel]) -> None:
        """What was taken from the ring is on the disk now."""
        self.ring.finish()
        for parcel in parcels:
            _add(self._on_disk, parcel.merchant_id, parcel.events)
            _add(self._in_ring, parcel.merchant_id, -parcel.events)

    # In the database

    def drops(self) -> dict[str, Counter[str]]:
        """What is to be told to the database with the next commit."""
        return {merchant_id: Counter(reasons) for merchant_id, reasons in self._dropped.items()}

    def left_disk(self, events: Mapping[str, int]) -> None:
        """They are counted elsewhere now. Whoever wrote them may not have heard yet that they were
        there: the count is below zero until then, and the sum with the ring's is right."""
        for merchant_id, number in events.items():
            _add(self._on_disk, merchant_id, -number)

    def left_ring(self, events: Mapping[str, int]) -> None:
        """As `left_disk`, of what was taken from the ring."""
        self.ring.finish()
        for merchant_id, number in events.items():
            _add(self._in_ring, merchant_id, -number)

    def told(self, drops: Mapping[str, Counter[str]], changes: Mapping[str, Durable]) -> None:
        """The database has these drops now, and its totals changed by so much."""
        for merchant_id, reasons in drops.items():
            left = self._dropped[merchant_id] - reasons
            if left:
                self._dropped[merchant_id] = left
            else:
                del self._dropped[merchant_id]
        for merchant_id, change in changes.items():
            known = self._known.get(merchant_id)
            if known is not None:
                self._known[merchant_id] = known.plus(change)

    # Telling

    def learn(self, merchant_id: str, durable: Durable) -> None:
        """The totals as they were just read, while nothing was being committed."""
        self._known[merchant_id] = durable
        self._known.move_to_end(merchant_id)
        while len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)

    def totals(self, merchant_id: str) -> Totals | None:
        """All that became of a merchant's events; None where the database was never asked."""
        known = self._known.get(merchant_id)
        if known is None:
            return None
        lost = self._dropped.get(merchant_id, Counter())
        buffered = self._in_ring[merchant_id] + self._on_disk[merchant_id]
        dropped = sum(lost.values())
        return Totals(
            accepted=known.accepted + buffered + dropped,
            stored=known.stored,
            deduplicated=known.deduplicated,
            conflicts=known.conflicts,
            dropped=known.dropped + dropped,
            buffered=buffered,
            reasons=dict(lost + Counter(known.reasons)),
        )

    @property
    def in_memory(self) -> int:
        return sum(self._in_ring.values())

    @property
    def on_disk(self) -> int:
        return sum(self._on_disk.values())


def _add(counter: Counter[str], key: str, number: int) -> None:
    total = counter[key] + number
    if total:
        counter[key] = total
    else:
        counter.pop(key, None)
