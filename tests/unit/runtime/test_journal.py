"""The journal, on a real database in memory and on disk."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from runtime import ActorDown, ActorError, ActorSystem, ChildSpec, MailboxSpec, Outcome
from runtime.foreground import PATIENCE_S
from runtime.journal import (
    BACKGROUND_MAX,
    BACKGROUND_TURN_S,
    JOURNAL,
    MAX_BATCH,
    Append,
    Journal,
    Rejected,
)
from runtime.storage import (
    RUNTIME_MIGRATIONS,
    AnyEntry,
    Database,
    DatabaseHandle,
    Entry,
    Statement,
    StorageError,
    StorageFull,
    Write,
    migrate,
    open_database,
)
from tests.stores import patient
from tests.unit.runtime.helpers import START, running, settle
from tests.virtual import run_virtually

CREATE_LINES = "CREATE TABLE lines (number BIGINT NOT NULL PRIMARY KEY CHECK (number >= 0))"
INSERT_LINE = Statement("lines.insert", "INSERT INTO lines (number) VALUES ($1)", 10)
ALL_LINES = "SELECT number FROM lines ORDER BY rowid"


def lines(*numbers: int) -> Entry:
    return tuple(Write(INSERT_LINE, (number,)) for number in numbers)


class Gated:
    """A real database whose commits wait for a gate, take `takes_s`, are counted, and fail on
    request."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.gate = trio.Event()
        self.gate.set()
        self.takes_s = 0.0
        self.batches: list[int] = []
        self.failures: list[Exception] = []

    async def append(self, entries: Sequence[AnyEntry], *, synchronous: bool = True) -> None:
        self.batches.append(len(entries))
        await self.gate.wait()
        await trio.sleep(self.takes_s)
        if self.failures:
            raise self.failures.pop()
        await self._database.append(entries, synchronous=synchronous)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


@attrs.frozen
class World:
    system: ActorSystem
    store: Any
    handle: DatabaseHandle

    async def append(self, entry: Entry, *, publishes: bool = False) -> Rejected | None:
        return await self.system.ref(JOURNAL).ask(Append(entry, publishes))

    async def lines(self) -> list[int]:
        return [row[0] for row in await self.handle.fetch(ALL_LINES)]


@asynccontextmanager
async def journal(
    url: str = "sqlite:///:memory:",
) -> AsyncIterator[World]:
    """A tree with a journal."""
    store: Any = Gated(await open_database(url))
    await migrate(store, [RUNTIME_MIGRATIONS], START)
    handle = patient(store)
    await handle.execute(CREATE_LINES.replace("TABLE", "TABLE IF NOT EXISTS"))
    mailbox = MailboxSpec(capacity=4096)
    children = [ChildSpec("journal", lambda: Journal(handle), name=JOURNAL, mailbox=mailbox)]
    try:
        async with running(children) as system:
            yield World(system, store, handle)
    finally:
        await store.close()


# Group commit


async def test_entry_is_there_when_it_is_answered() -> None:
    """Clause J1."""
    async with journal() as world:
        assert await world.append(lines(1, 2)) is None
        assert await world.lines() == [1, 2]


async def test_only_entries_that_somebody_waits_for_make_work_in_the_background_give_way() -> None:
    async with journal() as world:
        foreground, ref = world.system.foreground, world.system.ref(JOURNAL)
        await ref.ask(Append(lines(1), in_background=True))
        await ref.ask(Append(()))
        assert not foreground.busy
        await world.append(lines(2))
        assert foreground.busy


@pytest.mark.slow
async def test_entry_that_was_answered_is_on_disk(tmp_path: Path) -> None:
    """Clause J1."""
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    async with journal(url) as world:
        for number in range(5):
            await world.append(lines(number))
    async with journal(url) as world:
        assert await world.lines() == list(range(5))


async def test_entries_that_queue_up_during_a_commit_share_the_next_in_order() -> None:
    """Clause J1."""
    async with journal() as world:
        world.store.gate = trio.Event()
        async with trio.open_nursery() as nursery:
            for number in range(MAX_BATCH + 11):
                nursery.start_soon(world.append, lines(number))
                await settle(2)
            world.store.gate.set()
        assert world.store.batches == [1, MAX_BATCH, 10]
        assert await world.lines() == list(range(MAX_BATCH + 11))
        value = world.system.metrics.registry.get_sample_value("loyalnest_journal_commits_total")
        assert value == 3


async def test_nobody_is_answered_before_the_commit() -> None:
    """Clause J1."""
    async with journal() as world, trio.open_nursery() as nursery:
        world.store.gate = trio.Event()
        answered: list[int] = []

        async def append(number: int) -> None:
            await world.append(lines(number))
            answered.append(number)

        for number in range(3):
            nursery.start_soon(append, number)
        await settle()
        assert answered == []
        world.store.gate.set()
        await settle()
        assert sorted(answered) == [0, 1, 2]


@pytest.mark.parametrize("culprits", [{0}, {7}, {15}, {3, 4}, set(range(16))])
async def test_entry_that_breaks_a_constraint_fails_alone(culprits: set[int]) -> None:
    """Clause J2."""
    results: dict[int, Rejected | None] = {}
    async with journal() as world:
        world.store.gate = trio.Event()

        async def append(number: int) -> None:
            bad = -1 if number in culprits else 100 + number
            results[number] = await world.append(lines(number, bad))

        async with trio.open_nursery() as nursery:
            for number in range(16):
                nursery.start_soon(append, number)
                await trio.lowlevel.checkpoint()
            await settle()
            world.store.gate.set()
        assert {number for number, result in results.items() if result is not None} == culprits
        written = [number for number in await world.lines() if number < 100]
        assert written == [number for number in range(16) if number not in culprits]


async def test_two_that_exclude_each_other_one_is_written() -> None:
    """Clause J2."""
    results: list[Rejected | None] = []
    async with journal() as world:

        async def append() -> None:
            results.append(await world.append(lines(7)))

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(append)
        assert results.count(None) == 1
        assert await world.lines() == [7]


async def test_broken_store_leaves_the_batch_unknown_and_the_rest_undelivered() -> None:
    """Clause J3."""
    outcomes: list[Outcome] = []
    async with journal() as world:
        world.store.gate = trio.Event()
        world.store.failures.append(StorageError("disk on fire"))

        async def append(number: int) -> None:
            with pytest.raises(ActorDown) as caught:
                await world.append(lines(number))
            outcomes.append(caught.value.outcome)

        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(append, number)
                await settle()
            world.store.gate.set()
        assert outcomes.count(Outcome.UNKNOWN) == 1
        assert outcomes.count(Outcome.NOT_DELIVERED) == 3
        await settle()
        assert await world.append(lines(9)) is None
        assert await world.lines() == [9]


async def test_full_store_writes_nothing_says_so_and_is_used_again() -> None:
    """Clause J3."""
    async with journal() as world:
        world.store.gate = trio.Event()
        world.store.failures += [StorageFull("no space"), StorageFull("no space")]
        refused: list[StorageFull] = []

        async def append(number: int) -> None:
            try:
                await world.append(lines(number))
            except StorageFull as error:
                refused.append(error)

        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(append, number)
                await settle()
            world.store.gate.set()
        assert len(refused) == 3
        assert (await world.system.ref(JOURNAL).inspect()).incarnation == 1
        assert await world.append(lines(9)) is None
        assert await world.lines() == [9]


async def test_entry_whose_asker_gave_up_may_become_durable(autojump_clock: MockClock) -> None:
    """Clause J3."""
    async with journal() as world:
        world.store.gate = trio.Event()
        with pytest.raises(ActorError) as caught:
            await world.append(lines(1))
        assert caught.value.outcome is Outcome.UNKNOWN
        world.store.gate.set()
        await settle()
        assert await world.lines() == [1]


# In the background


async def in_background(world: World, *numbers: int) -> Rejected | None:
    append = Append(lines(*numbers), in_background=True)
    return await world.system.ref(JOURNAL).ask(append)


@pytest.mark.trio(run=run_virtually)
async def test_what_is_in_the_background_gives_way_to_everything_else() -> None:
    """Clause J12."""
    async with journal() as world, trio.open_nursery() as nursery:
        with world.system.foreground:
            for number in (1, 2, 3):
                nursery.start_soon(in_background, world, number)
                await settle(2)
            await world.append(lines(4))
            await world.append(lines(5))
            assert await world.lines() == [4, 5]
        with trio.fail_after(PATIENCE_S / 2):
            while len(await world.lines()) < 5:  # noqa: ASYNC110 - nobody tells of it
                await trio.sleep(PATIENCE_S / 100)
        assert await world.lines() == [4, 5, 1, 2, 3]
        assert world.store.batches[-3:] == [1, 1, 1]


@pytest.mark.trio(run=run_virtually)
async def test_entries_in_the_background_share_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clause J12."""
    async with journal() as world:
        world.store.takes_s = BACKGROUND_TURN_S / 4
        foreground, turns = world.system.foreground, 0
        quiet = foreground.quiet

        async def counted(patience_s: float = PATIENCE_S) -> bool:
            nonlocal turns
            turns += 1
            return await quiet(patience_s)

        monkeypatch.setattr(foreground, "quiet", counted)
        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(in_background, world, number)
        assert world.store.batches == [1] * 8
        assert turns == 2


async def begin_two_in_background(world: World, nursery: trio.Nursery) -> None:
    """Append 1, whose commit then waits at the gate, and 2."""
    world.store.gate = trio.Event()
    for number in (1, 2):
        nursery.start_soon(in_background, world, number)
        await settle(2)
    with trio.fail_after(PATIENCE_S):
        while not world.store.batches:  # noqa: ASYNC110 - nobody tells of it
            await trio.sleep(PATIENCE_S / 100)


@pytest.mark.trio(run=run_virtually)
async def test_a_turn_of_the_background_ends_when_a_request_comes() -> None:
    """Clause J12."""
    async with journal() as world, trio.open_nursery() as nursery:
        await begin_two_in_background(world, nursery)
        with world.system.foreground:
            world.store.gate.set()
            await trio.sleep(PATIENCE_S / 2)
            assert await world.lines() == [1]
        with trio.fail_after(PATIENCE_S / 2):
            while len(await world.lines()) < 2:  # noqa: ASYNC110 - nobody tells of it
                await trio.sleep(PATIENCE_S / 100)


@pytest.mark.trio(run=run_virtually)
async def test_a_turn_of_the_background_ends_when_another_entry_comes() -> None:
    """Clause J12."""
    async with journal() as world, trio.open_nursery() as nursery:
        await begin_two_in_background(world, nursery)
        nursery.start_soon(world.append, lines(9))
        await wait_all_tasks_blocked()
        world.store.gate.set()
        await trio.sleep(PATIENCE_S)
        assert await world.lines() == [1, 9, 2]


@pytest.mark.trio(run=run_virtually)
async def test_what_is_in_the_background_does_not_wait_for_ever() -> None:
    """Clause J12."""
    async with journal() as world:
        with world.system.foreground:
            began = trio.current_time()
            assert await in_background(world, 1) is None
            assert trio.current_time() - began == pytest.approx(PATIENCE_S)
            async with trio.open_nursery() as nursery:
                for number in range(2, 2 + BACKGROUND_MAX + 3):
                    nursery.start_soon(in_background, world, number)
                await wait_all_tasks_blocked()
                assert len(await world.lines()) == 1 + 3
                nursery.cancel_scope.cancel()


@pytest.mark.trio(run=run_virtually)
async def test_what_is_in_the_background_rests_where_it_is_never_quiet() -> None:
    """Clause J12."""
    async with journal() as world:
        world.store.takes_s = 0.1
        assert await seconds_of_four(world, 1) == pytest.approx(4 * 0.1)
        with world.system.foreground:
            took_s = await seconds_of_four(world, 5)
        assert took_s == pytest.approx(PATIENCE_S + (4 + 3) * 0.1)


async def seconds_of_four(world: World, first: int) -> float:
    """What four entries take that wait in the background together."""
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number in range(first, first + 4):
            nursery.start_soon(in_background, world, number)
    return trio.current_time() - began


@pytest.mark.trio(run=run_virtually)
async def test_who_is_in_the_background_hears_what_became_of_it() -> None:
    """Clauses J2, J3 and J12: nothing of it fails those behind it."""
    async with journal() as world:
        assert isinstance(await in_background(world, 1, 1), Rejected)
        world.store.failures.append(StorageFull("no space"))
        with pytest.raises(StorageFull):
            await in_background(world, 2)
        assert await in_background(world, 3) is None
        assert await world.lines() == [3]


@pytest.mark.trio(run=run_virtually)
async def test_an_empty_entry_in_the_background_waits_for_those_before_it() -> None:
    """Clause J12."""
    async with journal() as world, trio.open_nursery() as nursery:
        world.store.gate = trio.Event()
        nursery.start_soon(in_background, world, 1)
        await wait_all_tasks_blocked()
        answered = trio.Event()

        async def barrier() -> None:
            await in_background(world)
            answered.set()

        nursery.start_soon(barrier)
        await wait_all_tasks_blocked()
        assert not answered.is_set()
        world.store.gate.set()
        await answered.wait()
        assert await world.lines() == [1]


@pytest.mark.trio(run=run_virtually)
async def test_what_waits_in_the_background_is_answered_when_the_journal_ends() -> None:
    """Clauses A4 and J12."""
    async with journal() as world, trio.open_nursery() as nursery:

        async def append() -> None:
            with pytest.raises(ActorDown):
                await in_background(world, 1)

        with world.system.foreground:
            nursery.start_soon(append)
            await wait_all_tasks_blocked()
            world.system.ref(JOURNAL).kill()
