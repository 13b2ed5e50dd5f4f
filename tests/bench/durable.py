"""Durable mutations on PostgreSQL: how many against pgbench, and how long each takes."""

from functools import partial

from tests.bench.harness import Figure, at_most, compare
from tests.bench.mutations import rate_of, through_the_journal
from tests.bench.openloop import Latencies, open_loop
from tests.bench.pgbench import best_client_count, transactions_per_s
from tests.bench.postgres import DurablePostgres, durable_postgres
from tests.bench.product import Product, with_product

ASKERS = 256
MUTATIONS = ASKERS * 80
ROUNDS = 3
SCAN_S = 2
PGBENCH_S = 3

LATENCY_S = 6.0
WARM_UP_S = 1.0
P99_LIMIT_MS = 25.0


def durable() -> list[Figure]:
    with durable_postgres() as server:
        url = server.new_database()
        with_product(_nothing, customers=ASKERS, url=url)  # makes the tables
        clients = best_client_count(partial(_pgbench, server, url, duration_s=SCAN_S))
        rate = compare(
            f"durable mutations on PostgreSQL, {ASKERS} askers, against pgbench with the same"
            f" statements, one transaction each, at its best of 1 to 64 clients ({clients})",
            partial(with_product, _maximum, customers=ASKERS, url=url),
            partial(_pgbench, server, url, clients, duration_s=PGBENCH_S),
            unit="mutations/s",
            goal=4,
            rounds=ROUNDS,
        )
    with durable_postgres() as server:  # a fresh one: nothing is left to be cleaned up behind it
        url = server.new_database()
        latencies = with_product(partial(_latencies, rate.value / 2), customers=ASKERS, url=url)
    name = f"p99 of a mutation on PostgreSQL at {rate.value / 2:,.0f}/s, half the maximum"
    return [rate, at_most(name, latencies.percentile(99), "ms", P99_LIMIT_MS)]


async def _nothing(_product: Product) -> None:
    pass


def _pgbench(server: DurablePostgres, url: str, clients: int, *, duration_s: int) -> float:
    return transactions_per_s(server, url, clients=clients, duration_s=duration_s)


async def _maximum(product: Product) -> float:
    return await rate_of(through_the_journal(product), concurrent=ASKERS, mutations=MUTATIONS)


async def _latencies(rate: float, product: Product) -> Latencies:
    mutate = through_the_journal(product)
    await rate_of(mutate, concurrent=ASKERS, mutations=ASKERS)
    return await open_loop(
        lambda number: mutate(number % ASKERS),
        rate=rate,
        duration_s=LATENCY_S,
        warm_up_s=WARM_UP_S,
    )
