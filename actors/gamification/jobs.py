"""The gamification domain's jobs: what is tried again, looked at anew, and frozen."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import attrs

from actors.core.messages import QUERIES as CORE_QUERIES
from actors.core.messages import (
    GetCustomer,
    ListOrders,
    Order,
    OrderRecorded,
    OrderRefunded,
)
from actors.gamification.closing import CloseCycles
from actors.gamification.enqueueing import (
    BACKFILL,
    CLOSE_CYCLES,
    QUEUE,
    RECOMPUTE,
    REEVALUATE,
    SWEEP,
    reevaluation,
)
from actors.gamification.facts import Fact, fact_of_order, fact_of_refund
from actors.gamification.inside import Observe, Recompute
from actors.gamification.messages import PLAYERS, PlayerKey
from actors.gamification.queries import SELECT_OLD_SKIPS, SELECT_PLAYERS
from actors.gamification.rulebook import Rulebook
from actors.vocabulary import MAX_PAGE, Refusal
from runtime import ask_all
from runtime.jobs import Daily, Hourly, Job, JobsSpec, NewJob, Schedule, job_write, scheduled_of
from runtime.storage import Database, Entry, Write
from runtime.system import ActorSystem

PLAYERS_AT_ONCE: Final = 200
SKIPS_AT_ONCE: Final = 1_000
STALE_AFTER: Final = timedelta(hours=12)
"""A rule that is skipped for so long is tried again, although its job has given up."""


class StillSkipped(Exception):
    """The rule cannot be evaluated yet."""


async def reevaluate(job: Job, system: ActorSystem) -> Entry:
    """Evaluate one rule again. Raises `StillSkipped`, so that it is tried later."""
    key = PlayerKey(job.merchant_id, job.payload["customer_id"])
    again = Recompute(job.payload["achievement_id"])
    reasons = await system.entities(PLAYERS).ref(key).ask(again)
    if reasons:
        raise StillSkipped(reasons[0])
    return ()


@attrs.frozen
class RecomputeAll:
    """Has all players of a merchant evaluated anew, some at a time."""

    database: Database

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        after = job.payload["after"]
        rows = await self.database.fetch(SELECT_PLAYERS, job.merchant_id, after, PLAYERS_AT_ONCE)
        players = [PlayerKey(job.merchant_id, row[0]) for row in rows]
        ref = system.entities(PLAYERS).ref
        await _all([(ref(key), Recompute()) for key in players])
        if len(rows) < PLAYERS_AT_ONCE:
            return ()
        return (_next(job, system, {"after": rows[-1][0]}),)


async def take_in_orders(job: Job, system: ActorSystem) -> Entry:
    """One page of the orders from before the merchant's first definition, the newest first."""
    question = ListOrders(job.merchant_id, None, MAX_PAGE, job.payload["cursor"])
    page = await system.ref(CORE_QUERIES).ask(question)
    if isinstance(page, Refusal):
        raise TypeError(page.detail)
    earners = await _earners(system, job.merchant_id, {order.customer_id for order in page.items})
    facts: dict[PlayerKey, list[Fact]] = defaultdict(list)
    for order in page.items:
        facts[PlayerKey(job.merchant_id, earners[order.customer_id])].append(_fact(order))
    ref = system.entities(PLAYERS).ref
    await _all([(ref(key), Observe(tuple(some))) for key, some in facts.items()])
    if page.next_cursor is None:
        return ()
    return (_next(job, system, {"cursor": page.next_cursor}),)


async def _earners(
    system: ActorSystem, merchant_id: str, customers: Iterable[str]
) -> dict[str, str]:
    """Whom customers were merged into, where they were."""
    wanted = sorted(customers)
    ref = system.ref(CORE_QUERIES)
    found = await _all([(ref, GetCustomer(merchant_id, each)) for each in wanted])
    merged = [customer.merged_into if customer is not None else None for customer in found]
    return {each: into or each for each, into in zip(wanted, merged, strict=True)}


def _fact(order: Order) -> Fact:
    recorded = OrderRecorded(
        order.order_id,
        order.customer_id,
        order.total_minor,
        order.currency,
        order.ordered_at,
        order.lines,
    )
    if order.cancelled_at is not None:
        return fact_of_refund(OrderRefunded(recorded, "", 0, order.total_minor))
    if order.refunded_minor:
        return fact_of_refund(OrderRefunded(recorded, "", 0, order.refunded_minor))
    return fact_of_order(recorded)


@attrs.frozen
class Sweep:
    """Enqueues again what is skipped for long."""

    database: Database

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        now = system.clock.now()
        rows = await self.database.fetch(SELECT_OLD_SKIPS, now - STALE_AFTER, SKIPS_AT_ONCE)
        return tuple(
            _enqueued(system, reevaluation(*row), now, job.trace_id) for row in map(tuple, rows)
        )


def _next(job: Job, system: ActorSystem, payload: dict[str, object]) -> Write:
    """The rest of a job's work, in its place in the line."""
    rest = NewJob(
        queue=QUEUE.name,
        name=job.name,
        merchant_id=job.merchant_id,
        payload=payload,
        key=job.key,
        unique_key=job.unique_key,
    )
    return _enqueued(system, rest, system.clock.now(), job.trace_id)


def _enqueued(system: ActorSystem, job: NewJob, now: datetime, trace_id: str | None) -> Write:
    return job_write(job, job_id=system.ids.new("job"), now=now, trace_id=trace_id)


async def _all(asks: Sequence[tuple[Any, Any]]) -> list[Any]:
    """All answers, in order. Raises the first error."""
    answers = await ask_all(asks)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


SCHEDULED = scheduled_of("gamification")


def gamification_jobs(database: Database) -> JobsSpec:
    """Queues, handlers and schedules; they have rules of their own in memory."""
    return JobsSpec(
        queues=(QUEUE, SCHEDULED),
        handlers={
            REEVALUATE: reevaluate,
            RECOMPUTE: RecomputeAll(database),
            BACKFILL: take_in_orders,
            CLOSE_CYCLES: CloseCycles(database, Rulebook(database)),
            SWEEP: Sweep(database),
        },
        schedules=(
            Schedule(
                name="gamification.close_cycles",
                job=CLOSE_CYCLES,
                timing=Hourly(5),
                queue=SCHEDULED.name,
            ),
            Schedule(
                name="gamification.sweep",
                job=SWEEP,
                timing=Daily(time(4, 10), ZoneInfo("UTC")),
                queue=SCHEDULED.name,
            ),
        ),
    )
