"""The event_tracking domain's children."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import attrs

from actors.event_tracking.forgetting import Forgetter
from actors.event_tracking.messages import FORGETTER, QUERIES, TRACKER
from actors.event_tracking.readers import EventReaders
from actors.event_tracking.retention import Retention
from actors.event_tracking.spilling import OpenSpool, Spiller
from actors.event_tracking.stock import Stock
from actors.event_tracking.tracker import Tracker
from runtime import REFUSING, ChildSpec, MailboxSpec, Overflow
from runtime.spool import FileSpool, Spool, SpoolLimits
from runtime.spool.port import KIB, MIB
from runtime.storage import Database, Migrations

MIGRATIONS = Migrations("event_tracking", "actors.event_tracking.migrations")

SPILLER = "event_tracking.spiller"
RETENTION = "event_tracking.retention"

TRACKER_MAILBOX = MailboxSpec(capacity=4_096, overflow=Overflow.REJECT)

STOP_S = 10.0


@attrs.frozen(kw_only=True)
class TrackingSpec:
    """`kept` is how long events are: 7 days at least, as that is how long they are recognised.
    The spill file has up to `spill_bytes_max`."""

    kept: timedelta = attrs.field(
        default=timedelta(days=90), validator=attrs.validators.ge(timedelta(days=7))
    )
    spill_bytes_max: int = 1_024 * MIB


OpenSpill = Callable[[Path, int], OpenSpool]
"""Opens the spill file in a directory, which may have so many bytes."""


def event_tracking_children(
    database: Database, open_spool: OpenSpool, stock: Stock, spec: TrackingSpec
) -> tuple[ChildSpec, ...]:
    """The specifications, in the order of their start: who takes events stops before who writes
    them down. `stock` belongs to the process."""
    return (
        ChildSpec(
            "spiller",
            lambda: Spiller(database, open_spool, stock, spec.spill_bytes_max),
            name=SPILLER,
            shutdown_s=STOP_S,
        ),
        ChildSpec("tracker", lambda: Tracker(stock), name=TRACKER, mailbox=TRACKER_MAILBOX),
        ChildSpec("queries", lambda: EventReaders(database, stock), name=QUERIES, mailbox=REFUSING),
        ChildSpec(
            "forgetter", lambda: Forgetter(database, stock), name=FORGETTER, mailbox=REFUSING
        ),
        ChildSpec("retention", lambda: Retention(database, spec.kept), name=RETENTION),
    )


def spill_limits(bytes_max: int) -> SpoolLimits:
    """As many records as fit."""
    return SpoolLimits(
        bytes_max=bytes_max,
        records_max=100_000_000,
        record_bytes_max=1 * MIB,
        segment_bytes=min(2 * MIB, max(64 * KIB, bytes_max // 16)),
    )


def spill_file(directory: Path, bytes_max: int) -> OpenSpool:
    """Opens the spill file in `directory`."""

    async def open_spool() -> Spool:
        return await FileSpool.open(directory, spill_limits(bytes_max))

    return open_spool
