"""Writing events to the database: new ones once, and the counts of all in the same transaction."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import attrs
import msgspec
import trio

from actors.event_tracking.packing import EventRow, encoded_rows
from actors.event_tracking.queries import (
    ADD_DROPS,
    ADD_HOURS,
    ADD_TOTALS,
    ADVANCE,
    INSERT_EVENTS,
    LOOK_UP,
    for_rows,
)
from actors.event_tracking.stock import Durable
from runtime.storage import Database
from runtime.storage.port import Query

HOUR: Final = len("2026-05-01T12")
TO_THE_HOUR: Final = ":00:00.000000+00:00"

EVENT, CUSTOMER = "e", "c"
"""What is looked up."""

FORGOTTEN: Final = "{}"
"""The properties of an event whose customer is erased."""

Key = tuple[str, str]
"""A merchant, and the id of an event or a customer."""

_json = msgspec.json.Encoder().encode


@attrs.frozen
class Guard:
    """Records of a source, behind `before` up to `through`, that a transaction has the events of.
    The database takes none of them twice."""

    source: str
    before: int
    through: int


@attrs.frozen
class Decided:
    """What is to be written of some events, and what that adds to the totals by merchant."""

    fresh: Sequence[EventRow]
    hours: Mapping[tuple[str, str, str], int]
    changes: Mapping[str, Durable]


@attrs.frozen
class Plan:
    """One transaction, the guards in it, and what it adds to the totals of each merchant."""

    queries: Sequence[Query]
    guards: Sequence[Guard]
    drops: Mapping[str, Counter[str]]
    changes: Mapping[str, Durable]


async def plan_for(
    database: Database,
    rows: Sequence[EventRow],
    drops: Mapping[str, Counter[str]],
    guards: Sequence[Guard],
    now: datetime,
) -> Plan:
    """How to write what is new of the rows, together with `drops` and `guards`.

    The transaction breaks a constraint where another process has written one of the events
    meanwhile, or records of a guard are written already. Raises what a read of the database does.
    """
    existing, gone = await _look_up(database, rows)
    decided = decide(rows, existing, gone, drops)
    await trio.lowlevel.checkpoint()  # there may be many rows, and others in this loop
    queries = tuple(_writes(database, decided, drops, guards, now))
    return Plan(queries, guards, drops, decided.changes)


async def _look_up(
    database: Database, rows: Sequence[EventRow]
) -> tuple[dict[Key, str], dict[Key, str | None]]:
    """The digests of those that are there already, and which of their customers are gone."""
    if not rows:
        return {}, {}
    keys = dict.fromkeys((EVENT, row.merchant_id, row.message_id) for row in rows)
    customers = dict.fromkeys((CUSTOMER, row.merchant_id, row.customer_id) for row in rows)
    wanted = _text([*keys, *(key for key in customers if key[2])])
    existing: dict[Key, str] = {}
    gone: dict[Key, str | None] = {}
    for kind, merchant_id, id_, told in await database.fetch(
        for_rows(LOOK_UP, database.dialect), wanted
    ):
        if kind == EVENT:
            existing[merchant_id, id_] = told
        else:
            gone[merchant_id, id_] = told or None
    return existing, gone


def decide(
    rows: Iterable[EventRow],
    existing: Mapping[Key, str],
    gone: Mapping[Key, str | None],
    drops: Mapping[str, Counter[str]],
) -> Decided:
    """Of the events with the same id the first one counts. Those of a customer who was erased say
    nothing any more, those of one who was merged belong to the other."""
    digests = dict(existing)
    fresh: list[EventRow] = []
    repeated: Counter[str] = Counter()
    conflicts: Counter[str] = Counter()
    for row in rows:
        key = (row.merchant_id, row.message_id)
        first = digests.get(key)
        if first is None:
            digests[key] = row.digest
            fresh.append(row)
            continue
        repeated[row.merchant_id] += 1
        if first not in {row.digest, ""}:
            conflicts[row.merchant_id] += 1
    if gone:
        fresh = [_without_gone(row, gone) for row in fresh]
    stored = Counter(row.merchant_id for row in fresh)
    hours = Counter((row.merchant_id, row.occurred_at[:HOUR], row.type) for row in fresh)
    changes = {
        merchant_id: _change(
            stored[merchant_id],
            repeated[merchant_id],
            conflicts[merchant_id],
            drops.get(merchant_id, Counter()),
        )
        for merchant_id in sorted({*stored, *repeated, *drops})
    }
    return Decided(fresh, hours, changes)


def _change(stored: int, repeated: int, conflicts: int, drops: Counter[str]) -> Durable:
    dropped = sum(drops.values())
    return Durable(stored + repeated + dropped, stored, repeated, conflicts, dropped, drops)


def _without_gone(row: EventRow, gone: Mapping[Key, str | None]) -> EventRow:
    key = (row.merchant_id, row.customer_id or "")
    if key not in gone:
        return row
    into = gone[key]
    if into is not None:
        return row._replace(customer_id=into)
    return row._replace(customer_id=None, properties=FORGOTTEN, digest="")


def _writes(
    database: Database,
    decided: Decided,
    drops: Mapping[str, Counter[str]],
    guards: Sequence[Guard],
    now: datetime,
) -> Iterable[Query]:
    """In an order that is the same for all, so that two processes wait for each other in a line
    and not in a circle."""
    for guard in sorted(guards, key=lambda guard: guard.source):
        yield ADVANCE, (guard.source, guard.through, now, guard.before)
    dialect = database.dialect
    if decided.fresh:
        rows = b"[%b]" % encoded_rows(sorted(decided.fresh, key=_by_time))
        yield for_rows(INSERT_EVENTS, dialect), (rows.decode(),)
        hours = [
            (merchant_id, hour + TO_THE_HOUR, type_, events)
            for (merchant_id, hour, type_), events in sorted(decided.hours.items())
        ]
        yield for_rows(ADD_HOURS, dialect), (_text(hours),)
    if decided.changes:
        totals = [
            (m, each.accepted, each.stored, each.deduplicated, each.conflicts, each.dropped)
            for m, each in sorted(decided.changes.items())
        ]
        yield for_rows(ADD_TOTALS, dialect), (_text(totals),)
    lost = [(m, reason, n) for m, reasons in sorted(drops.items()) for reason, n in reasons.items()]
    if lost:
        yield for_rows(ADD_DROPS, dialect), (_text(sorted(lost)),)


def _by_time(row: EventRow) -> tuple[str, str, str]:
    """As two of the three indexes have them: neighbours are written at once."""
    return row.merchant_id, row.occurred_at, row.message_id


def _text(rows: Any) -> str:
    return _json(rows).decode()
