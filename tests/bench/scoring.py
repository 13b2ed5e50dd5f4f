"""A million orders of a hundred thousand customers are scored, and points are earned meanwhile."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

import attrs
import trio

from actors.rfm_analytics.messages import QUERIES, RUNS, GetRun, Run, RunState, StartedRun, StartRun
from runtime.storage import Dialect
from runtime.storage.deadlines import within
from tests.bench.bulkhead import Beside, writes
from tests.bench.client import CONNECTIONS
from tests.bench.harness import Figure, at_most
from tests.bench.overload import overload_edge
from tests.bench.postgres import durable_postgres
from tests.bench.product import MERCHANT, Product, with_product

CUSTOMERS = 100_000
ORDERS = 1_000_000
GOAL_S = 60.0
WRITES_PER_S = 150.0
BESIDE_S = 20.0
BESIDE_GOAL = 1.1
ROWS_AT_ONCE = 50_000
FILL_LIMIT_S = 120.0
LOOK_S = 0.05
END = datetime(2026, 1, 1, tzinfo=UTC)

NUMBERS = (
    "WITH RECURSIVE numbers (n) AS (SELECT CAST($2 AS BIGINT) UNION ALL"
    " SELECT n + 1 FROM numbers WHERE n + 1 < CAST($3 AS BIGINT)),"
    " mixed AS (SELECT n, n * 2654435761 % 4294967296 AS x FROM numbers),"
    " drawn AS (SELECT n, x, (x / 65536 * 40503 + x % 65536 * 30011 + n * 7) % 4294967296 AS y"
    " FROM mixed)"
)
"""Numbers from `$2` to before `$3`, and two for each that look like chance."""

INSERT_CUSTOMERS = (
    f"{NUMBERS} INSERT INTO customers (merchant_id, customer_id, created_at)"
    " SELECT $1, 'shopper-' || CAST(1000000 + n AS TEXT), $4 FROM drawn"
)

INSERT_ORDERS = (
    f"{NUMBERS} INSERT INTO orders (merchant_id, order_id, customer_id, ordered_at, currency,"
    " total_minor, items, lines, recorded_at)"
    " SELECT $1, 'order-' || CAST(1000000 + n AS TEXT),"
    " 'shopper-' || CAST(1000000 + y % CAST($5 AS BIGINT) AS TEXT), {ordered_at}, 'USD',"
    " 100 + x % 19900, 1, '[]', $4 FROM drawn"
)

ORDERED_AT = {
    Dialect.SQLITE: "strftime('%Y-%m-%dT%H:%M:%S', '2026-01-01', '-' || ((x * 31 + y) % 60480000)"
    " || ' seconds') || '.000000+00:00'",
    Dialect.POSTGRESQL: "TIMESTAMPTZ '2026-01-01T00:00:00Z'"
    " - make_interval(secs => (x * 31 + y) % 60480000)",
}
"""Within the last 700 days."""


@attrs.frozen
class Scored:
    """`seconds` from the beginning of a run to its publication, `cpu_s` of this process of it, with
    nothing else to do; and the writes without and with another run."""

    seconds: float
    cpu_s: float
    before: Beside
    during: Beside
    during_s: float


def scoring() -> list[Figure]:
    with durable_postgres() as server:
        on = {"SQLite": None, "PostgreSQL": server.new_database()}
        return [
            figure
            for name, url in on.items()
            for figure in _figures(name, scored(url, CUSTOMERS, ORDERS))
        ]


def _figures(name: str, found: Scored) -> Iterator[Figure]:
    what = f"RFM over {ORDERS:,} orders of {CUSTOMERS:,} customers on {name}"
    yield at_most(what, found.seconds, "s", GOAL_S)
    yield at_most(f"{what}, time of this process's CPU", found.cpu_s, "s", None)
    ratio = found.during.p99_ms / found.before.p99_ms
    yield Figure(
        f"p99 of earns on {name} beside such a run, against without it",
        found.during.p99_ms,
        "ms",
        found.before.p99_ms,
        ratio,
        f"ratio at most {BESIDE_GOAL:g}",
        ratio <= BESIDE_GOAL,
    )


def scored(url: str | None, customers: int, orders: int, beside_s: float = BESIDE_S) -> Scored:
    """Measured on a shop of that size."""
    measure = partial(_measure, customers=customers, orders=orders, beside_s=beside_s)
    return with_product(measure, customers=CONNECTIONS, url=url, edge=overload_edge)


async def _measure(product: Product, customers: int, orders: int, beside_s: float) -> Scored:
    await _fill(product, customers, orders)
    cpu_s, run = time.process_time(), await _run(product)
    cpu_s = time.process_time() - cpu_s
    await writes(product, WRITES_PER_S, 2.0)
    before = await writes(product, WRITES_PER_S, beside_s)
    again: list[Run] = []

    async def run_again() -> None:
        again.append(await _run(product))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_again)
        during = await writes(product, WRITES_PER_S, beside_s)
    return Scored(_seconds(run), cpu_s, before, during, _seconds(again[0]))


def _seconds(run: Run) -> float:
    if run.state is not RunState.PUBLISHED or run.published_at is None or run.begun_at is None:
        raise RuntimeError(f"the run was not published: {run.reason}")
    return (run.published_at - run.begun_at).total_seconds()


async def _run(product: Product) -> Run:
    started = await product.system.ref(RUNS).ask(StartRun(MERCHANT))
    if not isinstance(started, StartedRun):
        raise TypeError(started.detail)
    run = started.run
    while run.ended_at is None:
        await trio.sleep(LOOK_S)
        found = await product.system.ref(QUERIES).ask(GetRun(MERCHANT, run.run_id))
        run = found or run
    return run


async def _fill(product: Product, customers: int, orders: int) -> None:
    """Made up by the store itself, as recording them is not what is measured; a server has looked
    at its tables by the time that somebody has so many."""
    dialect = product.database.dialect
    insert_orders = INSERT_ORDERS.format(ordered_at=ORDERED_AT[dialect])
    async with product.database.as_owner() as owner:
        for first, behind in _chunks(customers):
            with within(FILL_LIMIT_S):
                await owner.execute(INSERT_CUSTOMERS, MERCHANT, first, behind, END)
        for first, behind in _chunks(orders):
            with within(FILL_LIMIT_S):
                await owner.execute(insert_orders, MERCHANT, first, behind, END, customers)
        if dialect is Dialect.POSTGRESQL:
            await owner.execute("ANALYZE customers, orders")


def _chunks(count: int) -> Iterator[tuple[int, int]]:
    for first in range(0, count, ROWS_AT_ONCE):
        yield first, min(count, first + ROWS_AT_ONCE)
