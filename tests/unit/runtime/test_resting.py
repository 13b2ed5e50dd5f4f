"""Actors that give up their task while idle: clause L11, and those it leaves as they are."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from runtime import (
    DEFERRED,
    Actor,
    ActorDown,
    ActorRef,
    ActorSystem,
    AskTimeout,
    ChildSpec,
    Entities,
    Entity,
    Expired,
    MailboxSpec,
    Overflow,
    Restart,
    Supervisor,
)
from runtime.deadletters import DeadReason
from runtime.exits import SHUTDOWN, ExitReason
from runtime.ports import seeded_ports
from runtime.resting import LOOKS, TaskHolders
from runtime.system_messages import Resume, Stop, Suspend
from tests.unit.runtime.helpers import START, Add, Crash, Note, Probe, Run, Wait, settle

CONTEXT: ContextVar[str] = ContextVar("test_resting", default="nothing")


@asynccontextmanager
async def running(*children: ChildSpec, tasks_max: int = 0) -> AsyncIterator[ActorSystem]:
    """A supervisor with these children. Whoever may rest does, and has rested when this begins."""
    root = ChildSpec("root", lambda: Supervisor(children, intensity=100), name="root")
    async with ActorSystem(seeded_ports(1, START), tasks_max=tasks_max).run(root) as system:
        await settle()
        yield system


def child(name: str, make: Callable[[], Actor], mailbox: MailboxSpec | None = None) -> ChildSpec:
    return ChildSpec(name, make, name=name, mailbox=mailbox or MailboxSpec())


def has_task(ref: ActorRef) -> bool:
    return ref.address in {task.name for task in _tasks()}


def _tasks() -> Iterator[trio.lowlevel.Task]:
    root = trio.lowlevel.current_root_task()
    waiting = [root] if root is not None else []
    while waiting:
        task = waiting.pop()
        yield task
        for nursery in task.child_nurseries:
            waiting.extend(nursery.child_tasks)


class Rester(Probe):
    """A probe that keeps what it was asked for later."""

    async def started(self) -> None:
        await super().started()
        CONTEXT.set("kept")

    async def receive(self, message: Any) -> object:
        if isinstance(message, Note) and message.text == "put aside":
            return self.stash()
        return await super().receive(message)


async def rest(system: ActorSystem, *refs: ActorRef) -> None:
    """Have these rest again: somebody else needs a task, as often as it takes."""
    for _ in range(2 + len(refs)):
        assert await system.ref("other").ask(Add(0)) == 0
        await settle()
        system.task_holders.make_room()
        await settle()
    assert not any(has_task(ref) for ref in refs)


async def test_idle_actor_has_no_task_and_goes_on_where_it_was() -> None:
    """Clause L11: state stays, `started` is called once, for all of its tasks."""
    diary: list[str] = []
    async with running(child("a", lambda: Rester(diary)), child("other", Probe)) as system:
        ref = system.ref("a")
        assert not has_task(ref)
        assert await ref.ask(Add(1)) == 1
        assert has_task(ref)
        await rest(system, ref)
        assert ref.alive
        assert await ref.ask(Add(2)) == 3
        assert (await ref.inspect()).handled == 2
    assert diary == ["start", "stop shutdown"]


async def test_up_to_the_limit_all_keep_their_tasks() -> None:
    """Clause L11."""
    async with running(child("a", Probe), child("b", Probe), tasks_max=2) as system:
        assert has_task(system.ref("a"))
        assert has_task(system.ref("b"))


async def test_what_comes_to_an_actor_at_rest_is_read_in_order() -> None:
    """Clauses M1, M3, M7."""
    diary: list[str] = []
    async with running(child("a", lambda: Probe(diary))) as system:
        ref = system.ref("a")
        assert ref.signal(Suspend())
        assert all(ref.tell(Note(str(number))) for number in range(5))
        await ref.send(Note("5"))
        await settle()
        assert diary == ["start"]
        assert ref.signal(Resume())
        await settle()
        assert diary == ["start", *"012345"]


@pytest.mark.parametrize("overflow", Overflow)
async def test_mailbox_of_an_actor_at_rest_has_its_bound(overflow: Overflow) -> None:
    """Clause M5."""
    spec = MailboxSpec(2, overflow, coalesce_key=lambda message: message)
    async with running(child("a", Probe, spec)) as system:
        ref = system.ref("a")
        accepted = [ref.tell(Note(str(number))) for number in range(3)]
        assert accepted == [True, True, overflow is Overflow.DROP_OLDEST]
        assert ref.mailbox().depth == 2


async def test_watchers_and_supervisor_see_an_actor_killed_at_rest() -> None:
    """Clauses L4, L9, S3: it ends without `stopped`, and is started afresh."""
    diary: list[str] = []
    watcher = child("watcher", lambda: Probe(diary, "watcher"))
    async with running(child("a", lambda: Probe(diary, "a")), watcher) as system:
        ref = system.ref("a")

        async def watch(actor: Probe) -> None:
            actor.watch(ref)

        await system.ref("watcher").ask(Run(watch))
        assert ref.kill()
        await settle()
        assert diary[:2] == ["start a", "start watcher"]
        assert sorted(diary[2:]) == ["down root/a killed", "start a"]
        assert await ref.ask(Add(1)) == 1


@pytest.mark.parametrize("end", ["crash", "kill"])
async def test_end_of_the_actor_above_ends_who_rests_below(end: str) -> None:
    """Clauses L4, A4."""
    ends: list[str] = []

    class Inner(Probe):
        async def stopped(self, reason: ExitReason) -> None:
            ends.append(reason.kind.value)

    def middle() -> Supervisor:
        return Supervisor((ChildSpec("inner", Inner, name="inner"),), intensity=0)

    async with running(child("middle", middle), child("other", Probe)) as system:
        inner = system.ref("inner")
        assert not has_task(inner)
        if end == "kill":
            system.ref("middle").kill()
        else:
            inner.tell(Crash())
        await settle()
        assert inner.alive
        assert await inner.ask(Add(1)) == 1
        assert ends == (["crashed"] if end == "crash" else [])


async def test_stop_at_rest_calls_stopped_where_there_is_one() -> None:
    """Clauses L2, L3."""
    diary: list[str] = []
    async with running(ChildSpec("a", lambda: Probe(diary), Restart.TEMPORARY, name="a")) as system:
        ref = system.ref("a")
        assert ref.signal(Stop(SHUTDOWN))
        await settle()
        assert diary == ["start", "stop shutdown"]
        assert not ref.alive


class Plain(Actor):
    """Has nothing to do at its end."""

    async def receive(self, message: Any) -> object:
        return message.amount


async def test_actor_at_rest_that_has_nothing_to_do_at_its_end_needs_no_task_for_it() -> None:
    """Clause L11."""
    async with running(ChildSpec("a", Plain, Restart.TEMPORARY, name="a")) as system:
        ref = system.ref("a")
        assert not has_task(ref)
        assert ref.signal(Stop(SHUTDOWN))
        assert not ref.alive
        with pytest.raises(ActorDown):
            await ref.ask(Add(1))


async def test_message_that_comes_while_the_task_is_given_up_is_handled() -> None:
    """Clauses M2, L11."""
    async with running(child("a", Probe), child("other", Probe)) as system:
        ref = system.ref("a")
        assert await ref.ask(Add(1)) == 1
        total = 1
        for _ in range(20):
            system.task_holders.make_room()
            total += 1
            assert await ref.ask(Add(1)) == total
            await trio.lowlevel.checkpoint()
            system.task_holders.make_room()
            system.task_holders.make_room()
            await trio.lowlevel.checkpoint()
            total += 1
            assert await ref.ask(Add(1)) == total


async def test_context_of_an_actor_survives_a_rest() -> None:
    """Clause L11."""

    async def read(_actor: Probe) -> str:
        return CONTEXT.get()

    async with running(child("a", Rester), child("other", Probe)) as system:
        assert await system.ref("a").ask(Run(read)) == "kept"
        await rest(system, system.ref("a"))
        assert await system.ref("a").ask(Run(read)) == "kept"


async def test_what_is_stashed_stays_over_a_rest_and_is_buried_at_the_end() -> None:
    """Clauses L8, M8."""

    async def unstash(actor: Rester) -> int:
        actor.unstash_all()
        return actor._incarnation.cell.statistics().depth

    async with running(child("a", Rester), child("other", Probe)) as system:
        ref = system.ref("a")
        ref.tell(Note("put aside"))
        await settle()
        await rest(system, ref)
        assert await ref.ask(Run(unstash)) == 1
        await settle()
        await rest(system, ref)
    assert system.dead_letters.counts == {DeadReason.UNREAD_AT_EXIT: 1}


async def test_deferred_answer_is_given_during_a_rest() -> None:
    """Clauses A3, D3: its deadline goes on as well."""
    kept: list[Any] = []

    class Later(Probe):
        async def receive(self, message: Any) -> object:
            kept.append(self.envelope)
            return DEFERRED

    async with running(child("a", Later), child("other", Probe)) as system:
        ref, answers = system.ref("a"), []

        async def ask() -> None:
            answers.append(await ref.ask(Add(1)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await settle()
            await rest(system, ref)
            kept[0].reply(7)
        assert answers == [7]


async def test_actor_at_rest_keeps_the_deadline_of_its_asker(autojump_clock: MockClock) -> None:
    """Clauses D1, D2, D3."""
    async with running(child("a", Probe)) as system:
        ref = system.ref("a")
        with pytest.raises(AskTimeout):
            await ref.ask(Wait(), timeout_s=1)
        assert await ref.ask(Add(1)) == 1
        ref.signal(Suspend())
        with pytest.raises(Expired):
            await ref.ask(Add(1), timeout_s=1)


class Busy(Probe):
    """Has a child task."""

    async def started(self) -> None:
        self.start_task(trio.sleep_forever)


class Bound(Probe):
    keeps_task = True


@pytest.mark.parametrize("make", [Busy, Bound])
async def test_actor_whose_task_is_needed_keeps_it(make: Callable[[], Actor]) -> None:
    """Clause L11: with child tasks, timers or children, or where it says so."""
    async with running(child("a", make), child("other", Probe)) as system:
        assert has_task(system.ref("a"))
        assert await system.ref("a").ask(Add(1)) == 1
        for _ in range(5):
            system.task_holders.make_room()
            await settle()
        assert has_task(system.ref("a"))


class Account(Entity):
    def __init__(self) -> None:
        self.total = 0

    async def receive(self, message: Add) -> int:
        self.total += message.amount
        return self.total


async def test_entity_at_rest_is_passivated_when_its_time_has_come(
    autojump_clock: MockClock,
) -> None:
    """Clauses E2, E3."""
    host = child("host", lambda: Entities("account", lambda _key: Account(), idle_s=10))
    async with running(host, child("other", Probe)) as system:
        refs = [system.entities("account").ref(key) for key in range(8)]
        assert [await ref.ask(Add(1)) for ref in refs] == [1] * 8
        assert [await ref.ask(Add(1)) for ref in refs] == [2] * 8
        await trio.sleep(25)
        assert [await ref.ask(Add(1)) for ref in refs] == [1] * 8


@attrs.define(eq=False)
class Holding:
    """Somebody with a task."""

    handled: int = 0
    idle: bool = True

    def retire(self) -> bool:
        return self.idle


def test_those_unused_for_longest_give_up_their_tasks_first() -> None:
    """Clause L11."""
    holders, all_of_them = TaskHolders(8), [Holding() for _ in range(9)]
    for each in all_of_them:
        holders.add(each)
    looks = 0
    while len(holders) > 8:
        all_of_them[0].handled += 1
        holders.make_room()
        looks += 1
    assert holders.crowded_by(all_of_them[0]) is False
    assert looks <= 2 * len(all_of_them) // LOOKS + 1
    holders.add(Holding())
    holders.make_room()
    assert len(holders) <= 8


def test_nobody_gives_up_a_task_that_is_in_use() -> None:
    """Clause L11."""
    holders, all_of_them = TaskHolders(0), [Holding(idle=False) for _ in range(5)]
    for each in all_of_them:
        holders.add(each)
    for _ in range(10):
        holders.make_room()
    assert len(holders) == 5
