"""Events through the batch route: how many are taken, and how many are stored, per second."""

import statistics
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from typing import Any

import attrs
import trio

from actors.event_tracking.messages import QUERIES, TRACKER, GetTotals, Totals, Track
from actors.event_tracking.packing import pack
from gateway.messages import LISTENER, GetAddress
from tests.bench.client import EVENT_CONNECTIONS, EVENTS_IN_BATCH
from tests.bench.harness import Figure, at_least, at_most
from tests.bench.postgres import DurablePostgres, durable_postgres
from tests.bench.product import MERCHANT, Product, with_product
from tests.bench.serving import EARN, drive, gateway, owner_token, served

BATCH = "/v1/events/batch"
GOAL_PER_S = 20_000.0
P99_GOAL_MS = 1.0
GOAL_SHARE = 0.02

ASKS = 5_000
TOLD_AT_ONCE = 50

LOOK_EVERY_S = 0.05
GIVE_UP_S = 120.0

WHAT = f"{EVENT_CONNECTIONS} connections with batches of {EVENTS_IN_BATCH:,}"


def tracking() -> list[Figure]:
    with durable_postgres() as server:
        on_postgresql = tracked(server.new_database())
        p99_ms, told_us = without_database(server)
    earn_us = 1e6 / served("earns", EARN)
    return [
        *_figures("SQLite", *tracked(None)),
        *_figures("PostgreSQL", *on_postgresql),
        at_most("p99 of taking an event while PostgreSQL is dead", p99_ms, "ms", P99_GOAL_MS),
        Figure(
            f"what telling of an event adds to a POST {EARN} while PostgreSQL is dead",
            told_us,
            "us",
            earn_us,
            told_us / earn_us,
            f"ratio at most {GOAL_SHARE:g}",
            told_us / earn_us <= GOAL_SHARE,
        ),
    ]


def without_database(server: DurablePostgres) -> tuple[float, float]:
    """The p99 of an ask of the tracker in milliseconds, and how many microseconds it takes those
    who track an event and go on."""

    async def measure(product: Product) -> tuple[float, float]:
        await trio.to_thread.run_sync(server.kill)
        tracker = product.system.ref(TRACKER)
        took_ms = []
        for number in range(ASKS):
            track = Track(tuple(pack(MERCHANT, [_event(number)], product.system.clock.now())))
            began = perf_counter()
            await tracker.ask(track)
            took_ms.append((perf_counter() - began) * 1000)
        began = perf_counter()
        for number in range(ASKS, 2 * ASKS):
            event = _event(number)
            tracker.tell(Track(tuple(pack(MERCHANT, [event], product.system.clock.now()))))
            if number % TOLD_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
        return statistics.quantiles(took_ms, n=100)[-1], (perf_counter() - began) / ASKS * 1e6

    return with_product(measure, customers=1, url=server.new_database(), edge=gateway)


@attrs.frozen
class Seen:
    """An event as domains track it."""

    message_id: str
    properties: dict[str, Any]
    occurred_at: datetime
    type: str = "product_viewed"
    customer_id: str | None = "customer-1"
    importance: str = "normal"


def _event(number: int) -> Seen:
    properties = {"sku": "ROSES-12", "price_minor": 2_599, "page": "/roses/twelve"}
    return Seen(f"bench-{number}", properties, datetime(2026, 5, 1, tzinfo=UTC))


def _figures(store: str, taken: float, stored: float) -> list[Figure]:
    return [
        at_least(f"events taken on {store}, {WHAT}", taken, "events/s", GOAL_PER_S),
        at_least(
            f"events stored on {store}, from the first request to the last commit",
            stored,
            "events/s",
            GOAL_PER_S,
        ),
    ]


def tracked(url: str | None) -> tuple[float, float]:
    """Events taken per second while clients send them, and stored per second over the time that it
    takes until all of them are."""
    return with_product(_measure, customers=1, url=url, edge=gateway)


async def _measure(product: Product) -> tuple[float, float]:
    address = await product.system.ref(LISTENER).ask(GetAddress())
    token = owner_token(product.system, product.directory)
    began, totals = trio.current_time(), partial(_totals, product)
    taken: list[float] = []
    first_at = began

    async def send() -> None:
        taken.extend(await drive("events", address.port, BATCH, token))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        while not (await totals()).accepted:
            await trio.sleep(LOOK_EVERY_S)
            first_at = trio.current_time()
    found = await _settled(totals)
    if found.dropped or found.stored != found.accepted:
        raise SystemExit(f"not all events are stored: {found}")
    return taken[0], found.stored / (trio.current_time() - first_at)


async def _settled(totals: Callable[[], Awaitable[Totals]]) -> Totals:
    for _ in range(int(GIVE_UP_S / LOOK_EVERY_S)):
        found = await totals()
        if not found.buffered:
            return found
        await trio.sleep(LOOK_EVERY_S)
    raise SystemExit(f"it takes too long: {found}")


async def _totals(product: Product) -> Totals:
    return await product.system.ref(QUERIES).ask(GetTotals(MERCHANT), timeout_s=GIVE_UP_S)
