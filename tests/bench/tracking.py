"""Events through the batch route: how many are taken, and how many are stored, per second."""

from collections.abc import Awaitable, Callable
from functools import partial

import trio

from actors.event_tracking.messages import QUERIES, GetTotals, Totals
from gateway.messages import LISTENER, GetAddress
from tests.bench.client import EVENT_CONNECTIONS, EVENTS_IN_BATCH
from tests.bench.harness import Figure, at_least
from tests.bench.postgres import durable_postgres
from tests.bench.product import MERCHANT, Product, with_product
from tests.bench.serving import drive, gateway, owner_token

BATCH = "/v1/events/batch"
GOAL_PER_S = 20_000.0

LOOK_EVERY_S = 0.05
GIVE_UP_S = 120.0

WHAT = f"{EVENT_CONNECTIONS} connections with batches of {EVENTS_IN_BATCH:,}"


def tracking() -> list[Figure]:
    with durable_postgres() as server:
        on_postgresql = tracked(server.new_database())
    return [*_figures("SQLite", *tracked(None)), *_figures("PostgreSQL", *on_postgresql)]


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
