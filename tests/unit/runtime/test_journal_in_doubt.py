"""The journal when connections break: what was said and what is there agree in the end."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from runtime import ActorError, ActorSystem, ChildSpec, Outcome
from runtime.journal import (
    CHECK_EVERY_S,
    JOURNAL,
    LOOK_EVERY_S,
    PATIENCE_S,
    Append,
    Journal,
    Rejected,
)
from runtime.ownership import Ownership
from runtime.storage import (
    RUNTIME_MIGRATIONS,
    AnyEntry,
    CommitUnknown,
    Database,
    DatabaseHandle,
    Row,
    StorageFull,
    StorageUnavailable,
    migrate,
    open_database,
)
from tests.stores import patient
from tests.unit.runtime.helpers import START, running, settle
from tests.unit.runtime.test_journal import ALL_LINES, CREATE_LINES, lines


@attrs.define(eq=False)
class Breaking:
    """A real database whose connection breaks on request, before or after a commit; that has
    no room for the next `full` claims; whose reads take `read_s`; and whose commits wait for a
    gate."""

    _database: Database
    away: bool = False
    breaks: list[str] = attrs.field(factory=list)
    claims: int = 0
    full: int = 0
    read_s: float = 0.0
    gate: trio.Event = attrs.field(factory=trio.Event)

    async def append(self, entries: Sequence[AnyEntry], *, synchronous: bool = True) -> None:
        await self.gate.wait()
        self._check()
        when = self.breaks.pop(0) if self.breaks else ""
        if when == "before":
            raise CommitUnknown("cut off (a test)")
        await self._database.append(entries, synchronous=synchronous)
        if when == "after":
            raise CommitUnknown("cut off (a test)")

    async def execute(self, sql: str, *values: Any) -> list[Row]:
        self._check()
        self.claims += 1
        if self.full:
            self.full -= 1
            raise StorageFull("no space is left (a test)")
        return await self._database.execute(sql, *values)

    async def fetch_value(self, sql: str, *values: Any) -> Any:
        self._check()
        await trio.sleep(self.read_s)
        return await self._database.fetch_value(sql, *values)

    def _check(self) -> None:
        if self.away:
            raise StorageUnavailable("away (a test)")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


@attrs.frozen
class World:
    system: ActorSystem
    store: Breaking
    handle: DatabaseHandle
    answers: dict[int, object] = attrs.field(factory=dict)

    async def append(self, number: int) -> None:
        """Notes what line `number` was answered: None, a rejection, or the error."""
        try:
            self.answers[number] = await self.system.ref(JOURNAL).ask(Append(lines(number)))
        except (ActorError, StorageUnavailable, StorageFull) as error:
            self.answers[number] = error

    async def lines(self) -> list[int]:
        return [row[0] for row in await self.handle.fetch(ALL_LINES)]


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    store: Any = Breaking(await open_database("sqlite:///:memory:"))
    store.gate.set()
    await migrate(store, [RUNTIME_MIGRATIONS], START)
    handle = patient(store)
    await handle.execute(CREATE_LINES)
    ownership = Ownership()
    spec = ChildSpec("journal", lambda: Journal(handle, ownership), name=JOURNAL)
    async with running([spec]) as system:
        yield World(system, store, handle)
    await store.close()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_commit_in_doubt_is_answered_with_what_became_of_it(
    when: str, autojump_clock: MockClock
) -> None:
    """Clause J3."""
    async with world() as it:
        it.store.breaks.append(when)
        await it.append(1)
        if when == "after":
            assert it.answers == {1: None}
            assert await it.lines() == [1]
        else:
            assert isinstance(it.answers[1], StorageUnavailable)
            assert await it.lines() == []
        await it.append(2)
        assert it.answers[2] is None


async def test_what_comes_while_a_commit_is_in_doubt_is_refused_and_not_written(
    autojump_clock: MockClock,
) -> None:
    """Clause J3."""
    async with world() as it, trio.open_nursery() as nursery:
        await it.append(0)
        it.store.breaks.append("after")
        nursery.start_soon(it.append, 1)
        await settle()
        it.store.away = True
        nursery.start_soon(it.append, 2)
        await trio.sleep(1)
        assert isinstance(it.answers[2], StorageUnavailable)
        it.store.away = False
        await trio.sleep(1)
        assert it.answers[1] is None
        assert await it.lines() == [0, 1]


async def test_a_store_that_is_away_is_answered_at_once_and_does_not_crash_the_journal(
    autojump_clock: MockClock,
) -> None:
    """Clause J3."""
    async with world() as it:
        it.store.away = True
        started = trio.current_time()
        for number in range(50):
            await it.append(number)
        assert all(isinstance(answer, StorageUnavailable) for answer in it.answers.values())
        assert trio.current_time() - started < 0.1
        it.store.away = False
        await it.append(99)
        assert it.answers[99] is None
        assert (await it.system.ref(JOURNAL).inspect()).incarnation == 1


async def test_an_empty_entry_is_answered_only_when_nothing_is_in_doubt(
    autojump_clock: MockClock,
) -> None:
    """Clause J3."""
    async with world() as it, trio.open_nursery() as nursery:
        await it.append(0)
        it.store.breaks.append("after")
        nursery.start_soon(it.append, 1)
        await settle()
        it.store.away = True
        with pytest.raises(StorageUnavailable):
            await it.system.ref(JOURNAL).ask(Append(()))
        it.store.away = False
        assert await it.system.ref(JOURNAL).ask(Append(())) is None
        await settle()
        assert it.answers[1] is None


async def test_a_journal_that_another_process_took_over_writes_nothing_any_more(
    autojump_clock: MockClock,
) -> None:
    """Clause J5."""
    async with world() as it:
        await it.append(1)
        other = Ownership()
        tenure = await other.claim(it.handle, it.system.ids)
        await it.append(2)
        assert isinstance(it.answers[2], StorageUnavailable)
        assert "another process" in str(it.answers[2])
        assert await it.lines() == [1]
        claims = it.store.claims
        await it.append(3)
        assert it.store.claims == claims
        assert tenure.commits == 1


async def test_a_journal_notices_a_takeover_without_writing(autojump_clock: MockClock) -> None:
    """Clause J5."""
    async with world() as it:
        await it.append(1)
        await Ownership().claim(it.handle, it.system.ids)
        await trio.sleep(CHECK_EVERY_S + 1)
        with pytest.raises(StorageUnavailable, match="another process"):
            await it.system.ref(JOURNAL).ask(Append(()))


async def test_a_disk_that_is_full_leaves_no_commit_in_doubt_for_good(
    autojump_clock: MockClock,
) -> None:
    """Clause J3: finding out takes a write of its own, which has no room at first."""
    async with world() as it, trio.open_nursery() as nursery:
        await it.append(0)
        it.store.breaks.append("after")
        it.store.full = 1
        nursery.start_soon(it.append, 1)
        await trio.sleep(4)
        assert it.answers == {0: None, 1: None}


async def test_a_full_disk_says_nothing_about_a_commit_in_doubt(autojump_clock: MockClock) -> None:
    """Clause J3: a batch is split, the first half is in doubt, and the second finds no room."""
    async with world() as it, trio.open_nursery() as nursery:
        await it.append(0)
        it.store.gate = trio.Event()
        for number in (1, 2, 3, 0):
            nursery.start_soon(it.append, number)
            await settle()
        it.store.breaks += ["", "", "after"]
        it.store.full = 1
        it.store.gate.set()
        await trio.sleep(4)
        there = await it.lines()
        assert 2 in there
        assert it.answers[2] is None
        assert it.answers[3] is None or 3 not in there


async def test_who_asks_whether_the_journal_can_write_hears_of_a_takeover_at_once(
    autojump_clock: MockClock,
) -> None:
    """Clauses J5 and Q10: with an empty entry, before work is claimed whose end it could not
    write."""
    async with world() as it:
        await it.append(1)
        assert await it.system.ref(JOURNAL).ask(Append(())) is None
        await Ownership().claim(it.handle, it.system.ids)
        with pytest.raises(StorageUnavailable, match="another process"):
            await it.system.ref(JOURNAL).ask(Append(()))


async def test_readers_that_take_all_connections_do_not_hold_up_the_journal(
    autojump_clock: MockClock,
) -> None:
    """Clause J5: whose the partition is, is looked up among them."""
    async with world() as it:
        await it.append(0)
        it.store.read_s = 2.0
        for number in range(1, 100):
            asked_at = trio.current_time()
            await it.append(number)
            assert trio.current_time() - asked_at < 0.3
            await trio.sleep(0.1)


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_breaks_every_answer_is_true(seed: int, autojump_clock: MockClock) -> None:
    """Clauses J1 and J3: done is there once, refused is not there."""
    rng = Random(seed)
    async with world() as it, trio.open_nursery() as nursery:
        for number in range(120):
            nursery.start_soon(it.append, number)
            await trio.sleep(rng.random() / 20)
            it.store.away = rng.random() < 0.2
            if rng.random() < 0.2:
                it.store.breaks.append(rng.choice(["before", "after"]))
        it.store.away = False
        it.store.breaks.clear()
        await it.append(999)
        await trio.sleep(10)
        there = await it.lines()
        assert len(there) == len(set(there))
        for number, answer in it.answers.items():
            assert not isinstance(answer, Rejected)
            if answer is None:
                assert number in there
            elif isinstance(answer, StorageUnavailable):
                assert number not in there
            else:
                assert isinstance(answer, ActorError)
                assert answer.outcome in Outcome
        assert sum(answer is None for answer in it.answers.values()) > 20


async def test_askers_are_not_kept_waiting_for_a_store_that_stays_away(
    autojump_clock: MockClock,
) -> None:
    """Clause J3."""
    async with world() as it, trio.open_nursery() as nursery:
        await it.append(0)
        it.store.breaks.append("after")
        nursery.start_soon(it.append, 1)
        await settle()
        it.store.away = True
        await trio.sleep(PATIENCE_S + LOOK_EVERY_S + 0.1)
        unknown = it.answers[1]
        assert isinstance(unknown, ActorError)
        assert unknown.outcome is Outcome.UNKNOWN
        it.store.away = False
        await it.append(2)
        assert it.answers[2] is None
        assert await it.lines() == [0, 1, 2]
