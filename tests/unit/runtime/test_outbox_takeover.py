"""A relay whose process was replaced, and the one that comes after it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from runtime import ActorSystem, ChildSpec
from runtime.journal import JOURNAL, Append, Journal
from runtime.outbox_store import OutboxStore
from runtime.ownership import Ownership
from runtime.storage import (
    RUNTIME_MIGRATIONS,
    DatabaseHandle,
    TakenOver,
    migrate,
    open_database,
)
from tests.stores import patient, unhurried
from tests.unit.runtime.helpers import START, running
from tests.unit.runtime.relaying import event


@asynccontextmanager
async def journal(
    ownership: Ownership,
) -> AsyncIterator[tuple[ActorSystem, DatabaseHandle]]:
    """A store with one event, and a journal that writes to it."""
    database = await open_database("sqlite:///:memory:")
    with unhurried():
        await migrate(database, [RUNTIME_MIGRATIONS], START)
    handle = patient(database)
    child = ChildSpec("journal", lambda: Journal(handle, ownership), name=JOURNAL)
    async with running([child]) as system:
        await system.ref(JOURNAL).ask(Append((event(1),)))
        yield system, handle
    await database.close()


async def test_nothing_is_read_for_delivery_by_a_process_that_was_replaced() -> None:
    """Clause J5."""
    ownership = Ownership()
    async with journal(ownership) as (system, handle):
        store = OutboxStore(system, handle, ownership)
        assert len((await store.page([])).events) == 1
        await Ownership().claim(handle, system.ids)
        with pytest.raises(TakenOver):
            await store.page([])


async def test_a_relay_is_sure_of_what_is_late_once_its_process_has_taken_over() -> None:
    """Clause J4."""
    before, ownership = Ownership(), Ownership()
    async with journal(before) as (system, handle):
        assert OutboxStore(system, handle).sure
        store = OutboxStore(system, handle, ownership)
        assert (store.sure, store.owned) == (False, False)
        await ownership.claim(handle, system.ids)
        assert store.owned
