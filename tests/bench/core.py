"""A large import beside points writes, and what a read of the catalogue costs."""

import statistics
from functools import partial

import attrs
import trio

from actors.core.messages import (
    IMPORTS,
    AddPart,
    CreateImport,
    GetImport,
    Import,
    ImportKind,
    StartImport,
)
from actors.products.messages import CATALOGUE, Product, ProductKind, PutProducts
from gateway.messages import LISTENER, GetAddress
from tests.bench import product
from tests.bench.bulkhead import writes
from tests.bench.client import CONNECTIONS
from tests.bench.harness import Figure
from tests.bench.overload import overload_edge
from tests.bench.product import MERCHANT, with_product
from tests.bench.serving import drive, gateway, owner_token

CUSTOMERS = 100_000
PART_ROWS = 10_000
HEADER = b"customer_id,name,email,phone,email_consent\n"
WRITES_PER_S = 150.0
PIECE_S = 4.0
PIECES_ALONE = 3
"""Before the import, and after it again: the machine is not the same then."""
ROUNDS = 5
GOAL_S, GOAL_RATIO, GOAL_CATALOGUE = 60.0, 1.2, 1.1
GIVE_UP_S = 240.0

EMPTY, CATALOGUE_READ = "/v1/auth/me", "/v1/products/ROSES-12"


@attrs.frozen
class Imported:
    """The p99 of the writes alone and during the import, each the median of the pieces, and how
    long the import took."""

    alone_ms: float
    during_ms: float
    took_s: float
    done: Import

    @property
    def ratio(self) -> float:
        return self.during_ms / self.alone_ms


def core() -> list[Figure]:
    found = beside_import(CUSTOMERS)
    read, empty, ratio = catalogue()
    return [
        Figure(
            f"import of {CUSTOMERS:,} customers, addresses sealed, beside {WRITES_PER_S:g} earns/s",
            found.took_s,
            "s",
            None,
            None,
            f"at most {GOAL_S:g} s",
            found.took_s <= GOAL_S and found.done.rows.new == CUSTOMERS,
        ),
        Figure(
            "p99 of earns during the import, against without it",
            found.during_ms,
            "ms",
            found.alone_ms,
            found.ratio,
            f"ratio at most {GOAL_RATIO:g}",
            found.ratio <= GOAL_RATIO,
        ),
        Figure(
            "time of a catalogue read from the cache, against a route with nothing behind it",
            1e6 / read,
            "us",
            1e6 / empty,
            ratio,
            f"ratio at most {GOAL_CATALOGUE:g}",
            ratio <= GOAL_CATALOGUE,
        ),
    ]


def beside_import(customers: int) -> Imported:
    return with_product(partial(_measure, customers), customers=CONNECTIONS, edge=overload_edge)


async def _measure(customers: int, running: product.Product) -> Imported:
    await writes(running, WRITES_PER_S, 2.0)
    alone = [await _piece_ms(running) for _ in range(PIECES_ALONE)]
    began = trio.current_time()
    import_id = await _start(running, customers)
    during: list[float] = []
    while True:
        piece_ms = await _piece_ms(running)
        done = await running.system.ref(IMPORTS).ask(GetImport(MERCHANT, import_id))
        assert done is not None
        if done.finished_at is not None or trio.current_time() > began + GIVE_UP_S:
            break
        during.append(piece_ms)
    ended = done.finished_at or running.system.clock.now()
    took_s = (ended - done.created_at).total_seconds()
    alone += [await _piece_ms(running) for _ in range(PIECES_ALONE)]
    during_ms = statistics.median(during or [piece_ms])
    return Imported(statistics.median(alone), during_ms, took_s, done)


async def _piece_ms(running: product.Product) -> float:
    return (await writes(running, WRITES_PER_S, PIECE_S)).p99_ms


async def _start(running: product.Product, customers: int) -> str:
    imports = running.system.ref(IMPORTS)
    wanted = CreateImport(
        merchant_id=MERCHANT, kind=ImportKind.CUSTOMERS, dry_run=False, created_by="bench"
    )
    begun = await imports.ask(wanted)
    assert isinstance(begun, Import)
    for part, first in enumerate(range(0, customers, PART_ROWS)):
        content = b"".join(map(_row, range(first, first + PART_ROWS)))
        content = HEADER + content if part == 0 else content
        await imports.ask(AddPart(MERCHANT, begun.import_id, part, content))
    await imports.ask(StartImport(MERCHANT, begun.import_id))
    return begun.import_id


def _row(number: int) -> bytes:
    phone = 791_000_000 + number
    return b"i-%d,Customer %d,c%d@example.com,+41%d,yes\n" % (number, number, number, phone)


def catalogue() -> tuple[float, float, float]:
    """Reads a second, requests a second to the other route, and the median of the ratios."""
    return with_product(_read, customers=CONNECTIONS, edge=gateway)


async def _read(running: product.Product) -> tuple[float, float, float]:
    roses = Product("ROSES-12", "Roses", ProductKind.PACKAGE, 2_500, "USD")
    await running.system.ref(CATALOGUE).ask(PutProducts(MERCHANT, (roses,)))
    address = await running.system.ref(LISTENER).ask(GetAddress())
    token = owner_token(running.system, running.directory)
    pairs = []
    for _ in range(ROUNDS):
        (read,) = await drive("gets", address.port, CATALOGUE_READ, token)
        (empty,) = await drive("gets", address.port, EMPTY, token)
        pairs.append((read, empty))
    reads, empties = zip(*pairs, strict=True)
    ratio = statistics.median(empty / read for read, empty in pairs)
    return statistics.median(reads), statistics.median(empties), ratio
