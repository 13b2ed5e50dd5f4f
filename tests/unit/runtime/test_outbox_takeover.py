"""A relay whose process was replaced, and the one that comes after it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from runtime import ActorSystem, ChildSpec
from runtime.journal import CHECK_EVERY_S, JOURNAL, Append, Journal
from runtime.outbox_relay import POLL_S
from runtime.outbox_store import OutboxStore
from runtime.ownership import Ownership
from runtime.storage import (
    RUNTIME_MIGRATIONS,
    Database,
    DatabaseHandle,
    TakenOver,
    migrate,
    open_database,
)
from tests.stores import patient, unhurried
from tests.unit.runtime.helpers import START, running
from tests.unit.runtime.relaying import event

LOOKS = 20


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


async def test_a_process_is_alone_from_its_claim_of_all_there_is_until_it_is_replaced() -> None:
    """Clause Q10."""
    ownership, shard = Ownership(), Ownership("shard")
    alone = [ownership.alone]
    async with journal(ownership) as (system, handle):
        alone.append(ownership.alone)
        await Ownership().claim(handle, system.ids)
        assert not await ownership.still_mine(handle)
        alone.append(ownership.alone)
        await shard.claim(handle, system.ids)
        alone.append(shard.alone)
    assert alone == [False, True, False, False]


async def test_nothing_is_read_for_delivery_by_a_process_that_was_replaced() -> None:
    """Clause J5."""
    losses: list[str] = []
    ownership = Ownership(on_loss=lambda: losses.append("lost"))
    async with journal(ownership) as (system, handle):
        store = OutboxStore(system, handle, ownership)
        assert len((await store.page([])).events) == 1
        await Ownership().claim(handle, system.ids)
        for _ in range(2):
            with pytest.raises(TakenOver):
                await store.page([])
        assert losses == ["lost"]


async def test_where_the_relay_looks_whose_the_store_is_the_journal_does_not(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    looked = Ownership.still_mine

    async def counted(ownership: Ownership, database: Database) -> bool:
        nonlocal looks
        looks += 1
        return await looked(ownership, database)

    monkeypatch.setattr(Ownership, "still_mine", counted)
    ownership = Ownership()
    async with journal(ownership) as (system, handle):
        store = OutboxStore(system, handle, ownership)
        for _ in range(LOOKS):
            await store.page([])
            await trio.sleep(POLL_S)
        assert looks == 0
        await trio.sleep(LOOKS * CHECK_EVERY_S)
        assert LOOKS - 1 <= looks <= LOOKS


async def test_a_relay_is_sure_of_what_is_late_once_its_process_has_taken_over() -> None:
    """Clause J4."""
    before, ownership = Ownership(), Ownership()
    async with journal(before) as (system, handle):
        assert OutboxStore(system, handle).sure
        store = OutboxStore(system, handle, ownership)
        assert (store.sure, store.owned) == (False, False)
        await ownership.claim(handle, system.ids)
        assert store.owned
