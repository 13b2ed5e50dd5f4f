"""The daily comparison of orders with what was credited for them."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import attrs
import structlog

from actors.core.messages import ORDER_RECORDED, CreditState, OrderRecorded, Reconciliation
from actors.core.queries import (
    INSERT_RECONCILIATION,
    LAST_UNTIL,
    SELECT_MERCHANTS,
    SELECT_RECORDED,
)
from actors.core.records import order_of, recorded_payload
from actors.points.messages import QUERIES as POINTS_QUERIES
from actors.points.messages import CheckCredits
from runtime.jobs import Daily, Job, NewJob, Schedule, job_write, scheduled_of
from runtime.storage import Database, Entry, Row, Write
from runtime.storage.outbox import outbox_write
from runtime.system import ActorSystem

log = structlog.get_logger("loyalnest.core")

RECONCILE_ALL, RECONCILE = "core.reconcile_all", "core.reconcile"

SCHEDULED = scheduled_of("core")

DAILY = Schedule(
    name="core.reconcile",
    job=RECONCILE_ALL,
    timing=Daily(time(3, 10), ZoneInfo("UTC")),
    queue=SCHEDULED.name,
)

SETTLED = timedelta(hours=1)
"""Younger orders may still be on their way to their points."""

LOOKED_BACK = timedelta(days=7)
"""Of a merchant that was never reconciled. Later runs begin where the last one ended."""

PAGE = 500
PAGES_MAX = 200
"""Orders of one run; what is left is for the next one."""

SHOWN = 100
MERCHANTS_AT_ONCE = 1_000


def reconcile_job(merchant_id: str) -> NewJob:
    """At most one at a time for each merchant."""
    return NewJob(
        queue=SCHEDULED.name, name=RECONCILE, merchant_id=merchant_id, unique_key=merchant_id
    )


@attrs.frozen
class ReconcileAll:
    """Once a day, enqueues a run for every merchant."""

    database: Database

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        now, merchants = system.clock.now(), await self._merchants()
        return tuple(
            job_write(
                reconcile_job(merchant_id),
                job_id=system.ids.new("job"),
                now=now,
                trace_id=job.trace_id,
            )
            for merchant_id in merchants
        )

    async def _merchants(self) -> list[str]:
        found: list[str] = []
        while True:
            after = found[-1] if found else ""
            rows = await self.database.fetch(SELECT_MERCHANTS, after, MERCHANTS_AT_ONCE)
            found += [row[0] for row in rows]
            if len(rows) < MERCHANTS_AT_ONCE:
                return found


@attrs.define
class _Found:
    """What a run has seen so far."""

    orders: int = 0
    missing: list[OrderRecorded] = attrs.field(factory=list)
    complete: bool = False
    seen_until: datetime | None = None


@attrs.frozen
class Reconcile:
    """Compares one merchant's orders with its ledger, and publishes again what has no points.

    An order that was credited meanwhile is recognised by its id, so that nothing is credited
    twice.
    """

    database: Database

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        merchant_id, now = job.merchant_id, system.clock.now()
        until = now - SETTLED
        last = await self.database.fetch_value(LAST_UNTIL, merchant_id)
        since = last if last is not None else now - LOOKED_BACK
        found = await self._compare(system, merchant_id, since, until)
        end = until if found.complete else found.seen_until or since
        if found.missing:
            log.warning("orders_without_points", merchant=merchant_id, orders=len(found.missing))
        ids = [order.order_id for order in found.missing[:SHOWN]]
        row = (merchant_id, now, since, end, found.orders, len(found.missing), ids)
        events = [self._event(system, merchant_id, order, now) for order in found.missing]
        return (Write(INSERT_RECONCILIATION, row), *events)

    async def _compare(
        self, system: ActorSystem, merchant_id: str, since: datetime, until: datetime
    ) -> _Found:
        found, after = _Found(), (since, "")
        for _ in range(PAGES_MAX):
            rows = await self.database.fetch(SELECT_RECORDED, merchant_id, *after, until, PAGE)
            orders = tuple(map(recorded_of, rows))
            found.orders += len(orders)
            found.missing += await _missing(system, merchant_id, orders)
            if len(rows) < PAGE:
                found.complete = True
                break
            after = (rows[-1]["recorded_at"], rows[-1]["order_id"])
            found.seen_until = rows[-1]["recorded_at"]
        return found

    def _event(
        self, system: ActorSystem, merchant_id: str, order: OrderRecorded, now: datetime
    ) -> Write:
        return outbox_write(
            merchant_id=merchant_id,
            event_id=system.ids.new("ev"),
            topic=ORDER_RECORDED,
            key=order.customer_id,
            payload=recorded_payload(order, order.customer_id),
            created_at=now,
        )


async def _missing(
    system: ActorSystem, merchant_id: str, orders: Sequence[OrderRecorded]
) -> list[OrderRecorded]:
    if not orders:
        return []
    question = CheckCredits(merchant_id, tuple(orders))
    states = await system.ref(POINTS_QUERIES).ask(question)
    pairs = zip(orders, states, strict=True)
    return [order for order, state in pairs if state is CreditState.MISSING]


def recorded_of(row: Row) -> OrderRecorded:
    """An order as the event about it tells of it."""
    order = order_of(row)
    return OrderRecorded(
        order.order_id,
        row["earner"],
        order.total_minor,
        order.currency,
        order.ordered_at,
        order.lines,
    )


def reconciliation_of(row: Row) -> Reconciliation:
    return Reconciliation(row[0], row[1], row[2], row[3], row[4], row[5], tuple(row[6]))
