"""`POST /v1/points/earn` on PostgreSQL: against SQLite, against batches, against FastAPI."""

import subprocess
from collections.abc import Callable
from functools import partial

from tests.bench.client import BATCH_CONNECTIONS, BATCH_CUSTOMERS, BATCH_ITEMS, CONNECTIONS
from tests.bench.fastapi_service.process import fastapi_service, token_for
from tests.bench.harness import Figure, at_most, compare
from tests.bench.postgres import DurablePostgres, durable_postgres
from tests.bench.product import MERCHANT, Product, with_product
from tests.bench.serving import EARN, ROOT, client_command, served

BATCH = "/v1/points/batch"
BATCHED = BATCH_CONNECTIONS * BATCH_CUSTOMERS
"""Customers that batches are for."""

ROUNDS = 3

WHAT = f"POST {EARN} on PostgreSQL, {CONNECTIONS} connections"


def serving_on_postgresql() -> list[Figure]:
    with durable_postgres() as server:
        earns = partial(_fresh, server, partial(served, "earns", EARN))
        against_sqlite = compare(
            f"{WHAT}, against the same on SQLite",
            earns,
            partial(served, "earns", EARN),
            unit="requests/s",
            goal=0.8,
            rounds=ROUNDS,
        )
        batches = compare(
            f"POST {BATCH} with {BATCH_ITEMS:,} items on PostgreSQL, against single earns",
            partial(_fresh, server, partial(served, "batches", BATCH, customers=BATCHED)),
            earns,
            unit="mutations/s",
            goal=8,
            rounds=ROUNDS,
        )
        against_fastapi = compare(
            f"{WHAT}, against FastAPI with asyncpg, a transaction each",
            earns,
            partial(_fresh, server, _fastapi),
            unit="requests/s",
            goal=None,
            rounds=ROUNDS,
        )
        half = f"{against_sqlite.value / 2:.0f}"
        latency = _fresh(server, partial(served, half, EARN))
    name = f"p99 of POST {EARN} on PostgreSQL at {half}/s, half the maximum"
    return [against_sqlite, batches, against_fastapi, at_most(name, latency, "ms", None)]


def _fresh(server: DurablePostgres, measure: Callable[..., float]) -> float:
    """Measured on a database of its own, so that no side finds more rows than the other."""
    return measure(url=server.new_database())


def _fastapi(*, url: str) -> float:
    with_product(_nothing, customers=CONNECTIONS, url=url)  # makes the tables
    with fastapi_service(url) as port:
        done = subprocess.run(
            client_command("earns", port, EARN, token_for(MERCHANT)),
            capture_output=True,
            check=True,
            text=True,
            cwd=ROOT,
        )
    return float(done.stdout)


async def _nothing(_product: Product) -> None:
    pass
