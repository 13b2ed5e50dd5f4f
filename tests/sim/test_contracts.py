"""What is simulated keeps the contracts of what it stands for, when nothing goes wrong."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from inspect import signature
from types import ModuleType
from typing import Any

import pytest
import trio

from runtime.cache import Cache
from runtime.sim import Trace, World
from runtime.sim.findings import Findings
from runtime.spool import Spool, SpoolLimits
from runtime.storage import RUNTIME_MIGRATIONS, Database, migrate
from tests.contract import test_cache, test_database, test_late_deliveries, test_spool
from tests.contract.test_spool import LIMITS, Opened
from tests.stores import unhurried
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

NEEDS_ANOTHER = {"database_url", "redis_server", "postgres", "tmp_path"}
"""Fixtures of tests that are about one product, or open the store in their own way."""


@asynccontextmanager
async def sound_world() -> AsyncIterator[World]:
    trace = Trace()
    async with trio.open_nursery() as nursery:
        yield World(1, nursery, trace, Findings(trace))
        nursery.cancel_scope.cancel()


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    async with sound_world() as outside:
        database = outside.store.connect(outside.new_life())
        await migrate(database, [RUNTIME_MIGRATIONS], outside.clock.now())
        outside.nursery.start_soon(database.attend)
        with unhurried():
            yield database


@pytest.fixture
async def cache() -> AsyncIterator[Cache]:
    async with sound_world() as outside, outside.cache.connect() as cache:
        yield cache


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    async with sound_world() as outside:

        @asynccontextmanager
        async def block(limits: SpoolLimits = LIMITS) -> AsyncIterator[Spool]:
            spool = await outside.disk.open_spool(outside.new_life(), limits)
            try:
                yield spool
            finally:
                await spool.close()

        yield block


def contract(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """The tests of a contract suite and their own fixtures."""
    return {
        name: value
        for name, value in vars(module).items()
        if name.startswith("test_") and not NEEDS_ANOTHER & set(signature(value).parameters)
    }


things, name = test_database.things, test_cache.name
globals().update(contract(test_database))
globals().update(contract(test_cache))
globals().update(contract(test_spool))
globals().update(contract(test_late_deliveries))
