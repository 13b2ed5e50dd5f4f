"""Entities: activation, passivation, eviction, crashes, and the stop of their region."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from runtime import (
    ActorDown,
    ActorSystem,
    ChildSpec,
    Entities,
    Entity,
    EntityRef,
    ExitReason,
    MailboxFull,
    MailboxSpec,
    Outcome,
    Restart,
    RestartChild,
    TerminateChild,
)
from runtime.deadletters import DeadReason
from tests.unit.runtime.helpers import Add, Crash, Note, Quit, Run, Wait, running, settle


@attrs.define
class Record:
    """What happened to all entities of a test; `alive` catches two activations of one key."""

    diary: list[str] = attrs.field(factory=list)
    alive: Counter[str] = attrs.field(factory=Counter)
    start_s: float = 0
    stop_s: float = 0
    failures: list[str] = attrs.field(factory=list)


class Account(Entity):
    def __init__(self, record: Record) -> None:
        self.record = record
        self.total = 0
        self.go = trio.Event()

    async def started(self) -> None:
        self.record.alive[self.key] += 1
        assert self.record.alive[self.key] == 1
        if self.record.failures:
            self.record.alive[self.key] -= 1
            raise RuntimeError(self.record.failures.pop())
        await trio.sleep(self.record.start_s)
        self.record.diary.append(f"start {self.key}")

    async def stopped(self, reason: ExitReason) -> None:
        await trio.sleep(self.record.stop_s)
        self.record.diary.append(f"stop {self.key} {reason.kind.value}")
        self.record.alive[self.key] -= 1

    async def receive(self, message: Any) -> object:
        match message:
            case Add():
                self.total += message.amount
                return self.total
            case Note():
                self.record.diary.append(f"{self.key}: {message.text}")
                return None
            case Wait():
                await trio.sleep(message.delay_s or 0)
                return "waited"
            case Run():
                return await message.function(self)
            case Quit():
                self.stop()
                return None
            case Crash():
                raise RuntimeError(message.text)
        return await super().receive(message)


@attrs.frozen
class World:
    system: ActorSystem
    host: Entities
    record: Record

    def ref(self, key: str) -> EntityRef:
        return self.system.entities("accounts").ref(key)


@asynccontextmanager
async def accounts(
    record: Record | None = None, *, restart: Restart = Restart.PERMANENT, **options: Any
) -> AsyncIterator[World]:
    """A tree with one region of accounts."""
    record = record if record is not None else Record()
    hosts: list[Entities] = []

    def make() -> Entities:
        hosts.append(Entities("accounts", lambda _: Account(record), **options))
        return hosts[-1]

    async with running([ChildSpec("accounts", make, restart, shutdown_s=60)]) as system:
        yield World(system, hosts[-1], record)


async def test_first_message_activates_and_reference_alone_does_not() -> None:
    """Clauses E1, S10: references with one key are equal, and nothing is active for it."""
    async with accounts() as world:
        ref = world.ref("a")
        assert len({ref, world.ref("a"), world.ref("b")}) == 2
        await settle()
        assert world.host.statistics().active == 0
        assert await ref.ask(Add(2)) == 2
        assert await world.ref("a").ask(Add(3)) == 5
        assert world.record.diary == ["start a"]
        assert ref.address == "accounts/a"


@pytest.mark.parametrize("how", ["tell", "send", "ask"])
async def test_every_way_of_sending_activates(how: str) -> None:
    """Clause E1."""
    async with accounts() as world:
        match how:
            case "tell":
                assert world.ref("a").tell(Note("hi"))
            case "send":
                await world.ref("a").send(Note("hi"))
            case _:
                await world.ref("a").ask(Add(1))
        await settle()
        assert world.record.diary[0] == "start a"


async def test_many_first_messages_activate_once(autojump_clock: MockClock) -> None:
    """Clause E2."""
    async with accounts(Record(start_s=1)) as world, trio.open_nursery() as nursery:
        answers: list[int] = []

        async def ask() -> None:
            answers.append(await world.ref("a").ask(Add(1)))

        for _ in range(50):
            nursery.start_soon(ask)
        await trio.sleep(2)
        assert sorted(answers) == list(range(1, 51))
        assert world.record.diary == ["start a"]


async def test_keys_have_their_own_state() -> None:
    async with accounts() as world:
        for key in "abc":
            await world.ref(key).ask(Add(ord(key)))
        assert [await world.ref(key).ask(Add(0)) for key in "abc"] == [97, 98, 99]
        assert world.host.statistics().active == 3
        gauge = world.system.metrics.registry.get_sample_value(
            "loyalnest_entities_active", {"region": "accounts"}
        )
        assert gauge == 3


async def test_idle_entity_is_passivated_and_comes_back_fresh(autojump_clock: MockClock) -> None:
    """Clause E3."""
    async with accounts(idle_s=10) as world:
        await world.ref("a").ask(Add(7))
        await trio.sleep(9.9)
        assert world.record.diary == ["start a"]
        await trio.sleep(10.2)
        assert world.record.diary == ["start a", "stop a shutdown"]
        assert await world.ref("a").ask(Add(1)) == 1
        statistics = world.host.statistics()
        assert (statistics.activated, statistics.passivated, statistics.crashed) == (2, 1, 0)


async def test_used_entity_stays(autojump_clock: MockClock) -> None:
    """Clause E3."""
    async with accounts(idle_s=10) as world:
        for _ in range(20):
            await world.ref("a").ask(Add(1))
            await trio.sleep(9)
        assert world.record.diary == ["start a"]


async def test_busy_entity_stays(autojump_clock: MockClock) -> None:
    """Clause E3."""
    async with accounts(idle_s=1) as world:
        assert await world.ref("a").ask(Wait(30), timeout_s=60) == "waited"
        assert world.record.diary == ["start a"]


async def test_entity_that_is_slow_to_start_is_not_passivated(autojump_clock: MockClock) -> None:
    """Clauses E1, E3."""
    async with accounts(Record(start_s=10), idle_s=1) as world:
        assert await world.ref("a").ask(Add(1), timeout_s=30) == 1


async def test_message_during_passivation_waits_for_the_next_activation(
    autojump_clock: MockClock,
) -> None:
    """Clause E2."""
    async with accounts(Record(stop_s=5), idle_s=1) as world:
        await world.ref("a").ask(Add(7))
        await trio.sleep(3)
        assert world.host.statistics().leaving == 1
        world.ref("a").tell(Note("first"))
        assert await world.ref("a").ask(Add(1), timeout_s=20) == 1
        assert world.record.diary == ["start a", "stop a shutdown", "start a", "a: first"]


async def test_full_region_evicts_an_idle_entity() -> None:
    """Clause E4."""
    async with accounts(max_active=3) as world:
        for key in "abcd":
            assert await world.ref(key).ask(Add(1)) == 1
            await settle()
        assert world.host.statistics().active == 3
        assert sum(line.startswith("stop") for line in world.record.diary) == 1


async def test_eviction_prefers_what_was_unused_longest(autojump_clock: MockClock) -> None:
    """Clause E4: `b` has not been used since the last sweep."""
    async with accounts(max_active=2, idle_s=10) as world:
        await world.ref("a").ask(Add(1))
        await world.ref("b").ask(Add(1))
        await trio.sleep(10.5)
        await world.ref("a").ask(Add(1))
        await world.ref("c").ask(Add(1))
        await settle()
        assert sorted(world.record.diary[2:]) == ["start c", "stop b shutdown"]


async def test_region_full_of_busy_entities_rejects(autojump_clock: MockClock) -> None:
    """Clause E4."""
    async with accounts(max_active=2) as world, trio.open_nursery() as nursery:
        for key in "ab":
            nursery.start_soon(world.ref(key).ask, Wait(3))
        await settle()
        with pytest.raises(MailboxFull) as caught:
            await world.ref("c").ask(Add(1))
        assert caught.value.outcome is Outcome.NOT_DELIVERED
        with pytest.raises(MailboxFull):
            await world.ref("c").send(Note("no"))
        assert not world.ref("c").tell(Note("no"))
        assert sum(world.system.dead_letters.counts.values()) == 1
        await trio.sleep(4)
        assert await world.ref("c").ask(Add(1)) == 1


async def test_evicted_key_that_is_wanted_again_waits_for_its_predecessor(
    autojump_clock: MockClock,
) -> None:
    """Clauses E2, E4."""
    async with accounts(Record(stop_s=2), max_active=1) as world:
        for key in "ababab":
            assert await world.ref(key).ask(Add(1), timeout_s=30) == 1
            await settle()
        assert world.record.alive["a"] <= 1
        assert world.host.statistics().active == 1


async def test_crashed_entity_answers_its_askers_and_the_next_message_activates_it_afresh() -> None:
    """Clauses A4, E5."""
    async with accounts() as world:
        await world.ref("a").ask(Add(5))
        with pytest.raises(ActorDown, match="boom") as caught:
            await world.ref("a").ask(Crash())
        assert caught.value.outcome is Outcome.UNKNOWN
        assert await world.ref("a").ask(Add(1)) == 1
        assert world.record.diary == ["start a", "stop a crashed", "start a"]
        assert world.host.statistics().crashed == 1


async def test_entity_that_does_not_start_was_not_delivered_to() -> None:
    """Clause E5."""
    async with accounts(Record(failures=["no database"])) as world:
        with pytest.raises(ActorDown, match="no database") as caught:
            await world.ref("a").ask(Add(1))
        assert caught.value.outcome is Outcome.NOT_DELIVERED
        assert await world.ref("a").ask(Add(1)) == 1


async def test_crash_of_one_key_does_not_touch_another() -> None:
    """Clause E5."""
    async with accounts() as world:
        await world.ref("b").ask(Add(1))
        with pytest.raises(ActorDown):
            await world.ref("a").ask(Crash())
        assert await world.ref("b").ask(Add(1)) == 2


async def test_entity_that_stops_itself_is_activated_again() -> None:
    """Clause E1."""
    async with accounts() as world:
        await world.ref("a").ask(Quit())
        await settle()
        assert await world.ref("a").ask(Add(1)) == 1
        statistics = world.host.statistics()
        assert (statistics.crashed, statistics.passivated) == (0, 0)


async def test_full_mailbox_of_an_entity(autojump_clock: MockClock) -> None:
    """Clause M5."""
    mailbox = MailboxSpec(capacity=1)
    async with accounts(mailbox=mailbox) as world, trio.open_nursery() as nursery:
        nursery.start_soon(world.ref("a").ask, Wait(1))
        await settle()
        assert world.ref("a").tell(Note("1"))
        assert not world.ref("a").tell(Note("2"))
        assert world.system.dead_letters.counts[DeadReason.MAILBOX_FULL] == 1


async def test_stop_of_the_region_stops_all_at_the_same_time(autojump_clock: MockClock) -> None:
    """Clause E6."""
    record = Record(stop_s=2)
    async with accounts(record) as world:
        for key in "abcde":
            await world.ref(key).ask(Add(1))
        start = trio.current_time()
    assert trio.current_time() - start == pytest.approx(2)
    assert sum(record.alive.values()) == 0
    assert sum(line.endswith("shutdown") for line in record.diary) == 5


async def test_stop_of_the_region_kills_who_takes_too_long(autojump_clock: MockClock) -> None:
    """Clause E6."""
    record = Record(stop_s=50)
    async with accounts(record, shutdown_s=3) as world:
        await world.ref("a").ask(Add(1))
        start = trio.current_time()
    assert trio.current_time() - start == pytest.approx(3)
    assert record.diary == ["start a"]


async def test_stop_of_the_region_while_a_key_changes_activations(
    autojump_clock: MockClock,
) -> None:
    """Clauses E2, E6: the next one waits behind one that does not end."""
    record = Record(stop_s=50)
    async with accounts(record, shutdown_s=3, idle_s=1) as world:
        await world.ref("a").ask(Add(1))
        await trio.sleep(3)
        assert world.host.statistics().leaving == 1
        world.ref("a").tell(Note("for the next"))
        start = trio.current_time()
    assert trio.current_time() - start <= 10


async def test_region_that_is_away_says_so_and_comes_back() -> None:
    """Clause E6."""
    async with accounts() as world:
        ref, root = world.ref("a"), world.system.ref("root")
        await ref.ask(Add(1))
        await root.ask(TerminateChild("accounts"))
        with pytest.raises(ActorDown) as caught:
            await ref.ask(Add(1))
        assert caught.value.outcome is Outcome.NOT_DELIVERED
        with pytest.raises(ActorDown):
            await ref.send(Note("x"))
        assert not ref.tell(Note("x"))
        await root.ask(RestartChild("accounts"))
        assert await ref.ask(Add(1)) == 1


async def test_killed_region_says_that_it_is_down() -> None:
    """Clause E6."""
    async with accounts(restart=Restart.TEMPORARY) as world:
        await world.ref("a").ask(Add(1))
        world.host._incarnation.kill()
        await settle()
        for key in "ab":
            with pytest.raises(ActorDown) as caught:
                await world.ref(key).ask(Add(1))
            assert caught.value.outcome is Outcome.NOT_DELIVERED


async def test_stop_answers_those_who_wait_in_busy_entities(autojump_clock: MockClock) -> None:
    """Clauses A4, E6."""
    outcomes: list[Outcome] = []
    async with trio.open_nursery() as nursery, accounts(shutdown_s=2) as world:

        async def ask(message: Any) -> None:
            with pytest.raises(ActorDown) as caught:
                await world.ref("a").ask(message, timeout_s=100)
            outcomes.append(caught.value.outcome)

        nursery.start_soon(ask, Wait(50))
        await settle()
        nursery.start_soon(ask, Add(1))
        await settle()
    assert sorted(outcomes, key=str) == [Outcome.NOT_DELIVERED, Outcome.UNKNOWN]
