"""Segments: orders come in while runs are begun, interrupted, and gone on with."""

from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import ClassVar

import attrs

from actors.core.messages import ORDERS, Order, RecordOrders
from actors.rfm_analytics.messages import PROSPECT, RUNS, RfmTerms, StartedRun, StartRun
from actors.rfm_analytics.model import Cuts, matching, quintile_cut, recency_days
from actors.rfm_analytics.queue import RFM_QUEUE
from actors.vocabulary import Refusal
from runtime.sim import Operation, Run
from runtime.storage import Row
from supervisors.simulation.parts import (
    CURRENCY,
    CUSTOMERS_THERE,
    MERCHANT,
    ApplicationScenario,
    Part,
)

EXPECTED_REFUSALS = frozenset({"run_in_progress", "invalid_time"})
"""A clock that was set back makes now the future."""

WHOLE, RIGHT, ENDS = "runs are whole", "scores are right", "runs end well"

COUNT_LIVE = "SELECT count(*) FROM rfm_runs WHERE merchant_id = $1 AND ended_at IS NULL"
COUNT_JOBS = (
    "SELECT count(*) FROM jobs WHERE merchant_id = $1 AND queue = $2"
    " AND state IN ('available', 'running', 'retryable')"
)
RUNS_THERE = (
    "SELECT r.run_id, r.number, r.state, r.as_of, r.reason, r.customers, r.scored, r.kept,"
    " (SELECT count(*) FROM rfm_scores s WHERE s.merchant_id = r.merchant_id"
    " AND s.run = r.number AND s.segment IS NOT NULL) AS segmented,"
    " (SELECT CAST(coalesce(sum(c.customers), 0) AS BIGINT) FROM rfm_cells c"
    " WHERE c.merchant_id = r.merchant_id AND c.run = r.number AND c.scoring = 'quintile') AS told"
    " FROM rfm_runs r WHERE r.merchant_id = $1 ORDER BY r.number"
)
SCORES = (
    "SELECT customer_id, segment FROM rfm_scores WHERE merchant_id = $1 AND run = $2"
    " ORDER BY customer_id"
)
HISTORY = (
    "SELECT h.customer_id, h.segment FROM rfm_history h WHERE h.merchant_id = $1 AND h.run ="
    " (SELECT max(o.run) FROM rfm_history o JOIN rfm_runs r ON r.merchant_id = o.merchant_id"
    " AND r.number = o.run WHERE o.merchant_id = $1 AND o.customer_id = h.customer_id"
    " AND r.published_at IS NOT NULL) ORDER BY h.customer_id"
)
BOUGHT = (
    "SELECT c.customer_id, o.ordered_at, o.total_minor - o.refunded_minor AS paid FROM customers c"
    " LEFT JOIN orders o ON o.merchant_id = c.merchant_id AND o.customer_id = c.customer_id"
    " AND o.cancelled_at IS NULL WHERE c.merchant_id = $1"
)


@attrs.frozen
class Buy(Operation):
    """One customer has bought something some days ago."""

    customer: str
    days: int
    total_minor: int

    def __str__(self) -> str:
        return f"{self.customer} buys for {self.total_minor}, {self.days} days ago"


@attrs.frozen
class Score(Operation):
    """Somebody wants a run."""

    def __str__(self) -> str:
        return "begin a run"


class Segments(Part):
    """When nobody buys any more, one more run is made, and compared with what was bought."""

    operations: ClassVar[tuple[type[Operation], ...]] = (Buy, Score)
    hurries: ClassVar[bool] = True

    def __init__(self) -> None:
        self._orders = 0
        self._last: str | None = None
        self._bought: Sequence[Row] = ()

    def draw(self, random: Random) -> Operation:
        if random.random() < 0.4:
            return Score()
        customer = random.choice(CUSTOMERS_THERE)
        return Buy(customer, random.choice((1, 5, 40, 200)), random.choice((100, 999, 5_000)))

    async def perform(self, run: Run, operation: Operation) -> None:
        match operation:
            case Buy():
                await self._buy(run, operation)
            case Score():
                await self._begin(run)

    async def _buy(self, run: Run, operation: Buy) -> None:
        self._orders += 1
        at = run.world.clock.start - timedelta(days=operation.days)
        order_id, total = f"segments-{self._orders}", operation.total_minor
        order = Order(order_id, operation.customer, at, CURRENCY, total, 1)
        message = RecordOrders(MERCHANT, (order,))
        await run.until_answered(lambda system: system.ref(ORDERS).ask(message))

    async def _begin(self, run: Run) -> str | None:
        started = await run.ask(lambda system: system.ref(RUNS).ask(StartRun(MERCHANT)))
        if isinstance(started, StartedRun):
            return started.run.run_id
        if isinstance(started, Refusal):
            run.findings.check(started.code in EXPECTED_REFUSALS, "right answers", started.code)
        return None

    async def at_rest(self, run: Run) -> bool:
        store = run.world.store.real
        if await store.fetch_value(COUNT_LIVE, MERCHANT):
            return False
        if await store.fetch_value(COUNT_JOBS, MERCHANT, RFM_QUEUE.name):
            return False
        rows = await store.fetch(RUNS_THERE, MERCHANT)
        bought = await store.fetch(BOUGHT, MERCHANT)
        if self._last is not None and rows[-1]["state"] == "published" and bought == self._bought:
            return True
        self._last, self._bought = await self._begin(run), bought
        return False

    async def check(self, run: Run) -> None:
        """Published runs have everybody, and the last one is as the plain definitions say."""
        store, findings = run.world.store.real, run.findings
        rows = await store.fetch(RUNS_THERE, MERCHANT)
        for row in rows:
            ended = f"{row['run_id']} {row['state']}: {row['reason']}"
            findings.check(row["state"] in {"published", "skipped"}, ENDS, ended)
            if row["state"] == "published" and row["kept"] == "all":
                detail = f"{row['run_id']}: {tuple(row)[5:]}"
                findings.check(row["segmented"] == row["customers"], WHOLE, detail)
                findings.check(row["told"] == row["scored"], WHOLE, detail)
        last = rows[-1]
        found = _segments(await store.fetch(SCORES, MERCHANT, last["number"]))
        right = _expected(await store.fetch(BOUGHT, MERCHANT), last)
        findings.check(found == right, RIGHT, f"{found} instead of {right}")
        history = _segments(await store.fetch(HISTORY, MERCHANT))
        findings.check(history == found, RIGHT, f"the history tells {history} instead of {found}")


def _segments(rows: Sequence[Row]) -> dict[str, str]:
    return {row[0]: row[1] for row in rows}


def _expected(rows: Sequence[Row], last: Row) -> dict[str, str]:
    facts: dict[str, tuple[int, int, int]] = {}
    for customer, ordered_at, paid_minor in rows:
        if ordered_at is not None and ordered_at <= last["as_of"]:
            days, orders, money = facts.get(customer, (10**6, 0, 0))
            age = recency_days(last["as_of"], ordered_at)
            facts[customer] = (min(days, age), orders + 1, money + paid_minor)
    columns = [
        sorted(-days for days, _, _ in facts.values()),
        sorted(orders for _, orders, _ in facts.values()),
        sorted(money for _, _, money in facts.values()),
    ]
    cuts = Cuts(*map(quintile_cut, columns))
    rules, segments = RfmTerms().rules, dict.fromkeys((row[0] for row in rows), PROSPECT)
    for customer, fact in facts.items():
        place = matching(rules, cuts.cell(*fact))
        segments[customer] = rules[place - 1].segment if place is not None else "none"
    return dict(sorted(segments.items()))


class SegmentsScenario(ApplicationScenario):
    """Segments alone."""

    name = "segments"
    parts = (Segments,)
    operations = 25
