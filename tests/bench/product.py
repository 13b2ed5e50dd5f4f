"""The product in this process, as the program runs it, with a merchant and its customers."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import attrs
import structlog
import trio

from actors.core.messages import CUSTOMERS, MERCHANTS, CreateCustomer, RegisterMerchant
from cli.logs import LogWriter, logging_to
from runtime import ActorSystem, ChildSpec, host
from runtime.jobs import JobsSpec
from runtime.storage import DatabaseHandle
from supervisors.application import ApplicationSpec, Outside, application
from supervisors.platform import DatabaseSpec
from tests.bench.disk import directory_on_disk
from tests.bench.harness import garbage_as_in_the_program

MERCHANT = "bench"
CREATED_AT_ONCE = 100

Edge = Callable[[DatabaseHandle], Sequence[ChildSpec]]
Measured = TypeVar("Measured")


@attrs.frozen
class Product:
    """The running tree. `directory` has its keys."""

    system: ActorSystem
    database: DatabaseHandle
    directory: Path


@attrs.frozen
class _Wanted:
    url: str | None
    edge: Edge | None
    jobs: JobsSpec | None
    outside: Outside


def with_product(
    measure: Callable[[Product], Awaitable[Measured]],
    *,
    customers: int,
    url: str | None = None,
    edge: Edge | None = None,
    jobs: JobsSpec | None = None,
    outside: Outside | None = None,
) -> Measured:
    """What `measure` returns of a tree with `customers` customers, named `customer-0` and so on.

    Without a `url` it has a new SQLite file. The log is written as the program writes it, but
    to nowhere.
    """
    with directory_on_disk() as directory, Path(os.devnull).open("w") as nowhere:
        writer = LogWriter(nowhere.fileno())
        wanted = _Wanted(url, edge, jobs, outside if outside is not None else Outside())
        try:
            with logging_to(writer, level="info", console=False):
                run = trio.run if url is None else host.run  # as the program does
                return run(_run, measure, customers, wanted, directory)
        finally:
            structlog.reset_defaults()


async def _run(
    measure: Callable[[Product], Awaitable[Measured]],
    customers: int,
    wanted: _Wanted,
    directory: Path,
) -> Measured:
    async with _running(wanted, directory) as product:
        await _create(product.system, customers)
        with garbage_as_in_the_program():
            return await measure(product)


@asynccontextmanager
async def _running(wanted: _Wanted, directory: Path) -> AsyncIterator[Product]:
    handle = DatabaseHandle()
    children = tuple(wanted.edge(handle)) if wanted.edge is not None else ()
    database = DatabaseSpec(wanted.url or f"sqlite:///{directory}/bench.db")
    spec = ApplicationSpec(database, directory, children, jobs=wanted.jobs, outside=wanted.outside)
    async with ActorSystem().run(application(spec, handle)) as system:
        yield Product(system, handle, directory)


async def _create(system: ActorSystem, customers: int) -> None:
    await system.ref(MERCHANTS).ask(RegisterMerchant(MERCHANT, "Bench", "USD"))
    room = trio.CapacityLimiter(CREATED_AT_ONCE)

    async def create(number: int) -> None:
        async with room:
            await system.ref(CUSTOMERS).ask(CreateCustomer(MERCHANT, f"customer-{number}", None))

    async with trio.open_nursery() as nursery:
        for number in range(customers):
            nursery.start_soon(create, number)
