"""Entries whose commit waits for the sync of another one, on a store that loses its power."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from runtime import ActorDown, ActorSystem, ChildSpec, Outcome
from runtime.journal import JOURNAL, Append, Journal, Rejected
from runtime.sim.reality import Reality
from runtime.storage import (
    RUNTIME_MIGRATIONS,
    AnyEntry,
    CommitUnknown,
    StorageError,
    StorageUnavailable,
)
from runtime.storage.sqlite_templates import Schema
from runtime.unsynced import AWAITED_WITHIN_S, DURABLE_WITHIN_S
from tests.stores import patient
from tests.unit.runtime.helpers import running
from tests.unit.runtime.test_journal import ALL_LINES, CREATE_LINES, lines
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

SCHEMA = Schema((RUNTIME_MIGRATIONS,), (CREATE_LINES,))


@attrs.define
class Watched:
    """The store of simulations. `synced` says of each commit whether it was."""

    reality: Reality = attrs.field(factory=lambda: Reality(SCHEMA))
    synced: list[bool] = attrs.field(factory=list)
    failures: list[Exception] = attrs.field(factory=list)
    away: bool = False

    async def append(self, entries: Sequence[AnyEntry], *, synchronous: bool = True) -> None:
        await trio.lowlevel.checkpoint()
        self._check()
        if self.failures:
            raise self.failures.pop()
        await self.reality.append(entries, synchronous=synchronous)
        self.synced.append(synchronous)

    async def execute(self, sql: str, *values: Any) -> Any:
        self._check()
        return await self.reality.execute(sql, *values)

    def _check(self) -> None:
        if self.away:
            raise StorageUnavailable("away (a test)")

    def lose_power(self) -> None:
        self.reality.lose(self.reality.unsynced)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.reality.as_database, name)


@attrs.frozen
class World:
    system: ActorSystem
    store: Watched

    async def append(
        self, number: int, *, synchronous: bool = True, publishes: bool = False
    ) -> Rejected | None:
        """In the background."""
        append = Append(lines(number), publishes, in_background=True, synchronous=synchronous)
        return await self.system.ref(JOURNAL).ask(append)

    async def earn(self, number: int) -> None:
        """Somebody waits for it."""
        assert await self.system.ref(JOURNAL).ask(Append(lines(number))) is None

    async def lines(self) -> list[int]:
        return [row[0] for row in await self.store.reality.fetch(ALL_LINES)]


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    store = Watched()
    handle = patient(store)
    children = [ChildSpec("journal", lambda: Journal(handle), name=JOURNAL)]
    try:
        async with running(children) as system:
            yield World(system, store)
    finally:
        store.reality.end()


async def test_what_need_not_be_synced_is_answered_when_committed_and_synced_in_time() -> None:
    """Clause J13."""
    async with world() as here:
        began = trio.current_time()
        for number in (1, 2, 3):
            assert await here.append(number, synchronous=False) is None
        assert trio.current_time() - began < DURABLE_WITHIN_S
        assert here.store.synced == [False] * 3
        await trio.sleep(1.1 * DURABLE_WITHIN_S)
        assert here.store.synced == [False] * 3 + [True]
        here.store.lose_power()
        assert await here.lines() == [1, 2, 3]
        await trio.sleep(10 * DURABLE_WITHIN_S)
        assert len(here.store.synced) == 4, "nothing is synced twice"


async def test_what_somebody_waits_for_is_durable_with_all_that_was_before_it() -> None:
    """Clause J13: what is lost are the last of those that nobody has synced, without a hole."""
    async with world() as here:
        for number in (1, 2):
            await here.append(number, synchronous=False)
        await here.earn(3)
        for number in (4, 5):
            await here.append(number, synchronous=False)
        here.store.lose_power()
        assert await here.lines() == [1, 2, 3]
        assert here.store.synced == [False, False, True, False, False]


async def test_beside_others_a_commit_in_the_background_waits_for_the_sync_of_theirs() -> None:
    """Clauses J12 and J13."""
    async with world() as here, trio.open_nursery() as nursery:
        await here.append(1)
        assert here.store.synced == [True], "alone it has one of its own"
        await here.earn(2)
        answered: list[int] = []

        async def append(number: int) -> None:
            await here.append(number)
            answered.append(number)

        nursery.start_soon(append, 3)
        await trio.sleep(AWAITED_WITHIN_S / 2)
        assert here.store.synced[2:] == [False]
        assert answered == []
        await here.earn(4)
        await wait_all_tasks_blocked()
        assert answered == [3]
        nursery.start_soon(append, 5)
        await trio.sleep(2 * AWAITED_WITHIN_S)
        assert answered == [3, 5], "where nobody commits in time, the journal does"
        assert here.store.synced[4:] == [False, True]


async def test_what_publishes_is_synced_by_itself() -> None:
    """Clause J13: others act upon it."""
    async with world() as here:
        await here.earn(1)
        await here.append(2, synchronous=False, publishes=True)
        assert here.store.synced == [True, True]


async def test_empty_entry_is_answered_when_all_before_it_is_durable() -> None:
    """Clauses J1 and J13."""
    async with world() as here:
        await here.append(1, synchronous=False)
        await here.system.ref(JOURNAL).ask(Append(()))
        here.store.lose_power()
        assert await here.lines() == [1]


async def test_journal_that_is_stopped_leaves_nothing_unsynced() -> None:
    """Clause J13."""
    async with world() as here:
        await here.append(1, synchronous=False)
    assert here.store.synced == [False, True]


@pytest.mark.parametrize("killed", ["between", "in doubt"])
async def test_what_the_store_lost_is_noticed_and_who_waits_for_it_hears_that(killed: str) -> None:
    """Clauses J3 and J13: a server was killed, and the process that writes to it was not."""
    async with world() as here:
        await here.earn(1)
        await here.append(2, synchronous=False)
        outcome: list[type[Exception]] = []

        async def append() -> None:
            try:
                await here.append(3)
            except StorageUnavailable as error:
                outcome.append(type(error))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(append)
            await trio.sleep(AWAITED_WITHIN_S / 2)
            here.store.lose_power()
            if killed == "in doubt":
                here.store.failures.append(CommitUnknown("cut off (a test)"))
        assert outcome == [StorageUnavailable]
        await here.earn(4)
        assert await here.lines() == [1, 4]
        registry = here.system.metrics.registry
        lost = registry.get_sample_value("loyalnest_journal_entries_total", {"outcome": "lost"})
        assert lost == 1, "the other one was told"


async def test_store_that_is_away_is_synced_when_it_is_back() -> None:
    """Clauses J3 and J13."""
    async with world() as here:
        await here.append(1, synchronous=False)
        here.store.away = True
        await trio.sleep(2.0)
        here.store.away = False
        await trio.sleep(1.0)
        assert here.store.synced == [False, True]


async def test_sync_that_fails_leaves_those_who_wait_for_it_unknown() -> None:
    """Clause J3."""
    async with world() as here, trio.open_nursery() as nursery:
        await here.earn(1)
        errors: list[ActorDown] = []

        async def append() -> None:
            with pytest.raises(ActorDown) as caught:
                await here.append(2)
            errors.append(caught.value)

        nursery.start_soon(append)
        await trio.sleep(AWAITED_WITHIN_S / 2)
        here.store.failures.append(StorageError("the sync failed (a test)"))
        await trio.sleep(AWAITED_WITHIN_S)
        assert [error.outcome for error in errors] == [Outcome.UNKNOWN]
        assert await here.append(3) is None
