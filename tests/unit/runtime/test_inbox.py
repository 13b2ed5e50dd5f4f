"""The inbox: effects once, under a relay and consumers that lose, repeat and reorder."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from runtime import DEFERRED, Actor, ChildSpec, Envelope, RestartChild, TerminateChild
from runtime.inbox import take_effect
from runtime.journal import JOURNAL, Rejected
from runtime.outbox import RELAY, Deliver, OutboxEvent, PutBackEvent
from runtime.storage import Database, Statement, Write
from tests.unit.runtime.helpers import START
from tests.unit.runtime.relaying import World, event, numbers, relaying

CREATE_EFFECTS = (
    "CREATE TABLE effects (merchant_id TEXT NOT NULL, number BIGINT NOT NULL CHECK (number >= 0))"
)
INSERT_EFFECT = Statement(
    "effects.insert", "INSERT INTO effects (merchant_id, number) VALUES ($1, $2)", 10
)
EFFECTS = "SELECT number FROM effects ORDER BY rowid"

LANES = 30
EVENTS = 240


def effect(number: int) -> Write:
    return Write(INSERT_EFFECT, ("m", number))


def outbox_event(number: int) -> OutboxEvent:
    return OutboxEvent("m", f"e{number}", "topic", "k", {"number": number}, START)


async def effects(database: Database) -> list[int]:
    return [row[0] for row in await database.fetch(EFFECTS)]


async def taken(world: World, number: int, *writes: Write) -> Rejected | None:
    journal = world.system.ref(JOURNAL)
    return await take_effect(journal, world.database, "one", outbox_event(number), writes, START)


async def test_the_same_event_again_is_answered_as_done_and_changes_nothing() -> None:
    """Clause J10."""
    async with relaying(subscriptions={}) as world:
        await world.database.execute(CREATE_EFFECTS)
        for _ in range(3):
            assert await taken(world, 1, effect(1), effect(2)) is None
        assert await effects(world.database) == [1, 2]


async def test_effect_that_breaks_a_constraint_is_not_recorded_as_done() -> None:
    """Clause J10."""
    async with relaying(subscriptions={}) as world:
        await world.database.execute(CREATE_EFFECTS)
        assert isinstance(await taken(world, 1, effect(-1)), Rejected)
        assert await taken(world, 1, effect(1)) is None
        assert await effects(world.database) == [1]


async def test_an_effect_taken_once_costs_no_query() -> None:
    """Clause J10."""
    async with relaying(subscriptions={}) as world:
        await world.database.execute(CREATE_EFFECTS)
        await trio.testing.wait_all_tasks_blocked()
        before = world.store.reads
        journal = world.system.ref(JOURNAL)
        event = outbox_event(1)
        assert await take_effect(journal, world.store, "one", event, [effect(1)], START) is None
        assert world.store.reads == before


@attrs.define(eq=False)
class Chaotic(Actor):
    """Loses 30% of what it gets, does 30% twice, answers late and out of order, and crashes now
    and then, before or after the effect."""

    random: Random
    world: list[World]
    faulty: list[bool]

    def happens(self, chance: float) -> bool:
        return bool(self.faulty) and self.random.random() < chance

    async def receive(self, message: Any) -> object:
        assert isinstance(message, Deliver)
        if self.happens(0.3):
            return DEFERRED
        if self.happens(0.01):
            raise RuntimeError("before the effect")
        self.start_task(self._work, self.envelope, message.events)
        if self.happens(0.3):
            self.start_task(self._work, self.envelope, message.events)
        return DEFERRED

    async def _work(self, envelope: Envelope, events: Sequence[OutboxEvent]) -> None:
        await trio.sleep(self.random.random() * self.random.choice((0.01, 2)))
        for each in events:
            payload: Any = each.payload
            writes = [effect(payload["number"])]
            journal = self.world[0].system.ref(JOURNAL)
            database = self.world[0].database
            assert await take_effect(journal, database, "chaotic", each, writes, START) is None
        await trio.sleep(self.random.random() * self.random.choice((0.01, 2)))
        if self.happens(0.01):
            raise RuntimeError("after the effect")
        envelope.reply(None)


def in_lanes(done: Sequence[int]) -> Iterator[list[int]]:
    lanes: dict[int, list[int]] = defaultdict(list)
    for number in done:
        lanes[number % LANES].append(number)
    yield from lanes.values()


async def publish_and_disturb(world: World, random: Random) -> None:
    for number in range(EVENTS):
        await world.publish(event(number, key=f"k{number % LANES}"))
        await trio.sleep(random.random() / 4)
        if number in (80, 160):
            for message in (TerminateChild("relay"), RestartChild("relay")):
                await world.system.ref("root").ask(message)


async def converge(world: World) -> set[int]:
    """Until nothing is late. What died by bad luck is put back; its number is among the answer,
    because its lane has gone on without it."""
    put_back: set[int] = set()
    while True:
        for dead in await world.dead():
            again = PutBackEvent("m", dead.consumer, dead.event.event_id, "test", "bad luck")
            assert await world.system.ref(RELAY).ask(again)
            put_back |= set(numbers((dead.event,)))
        if not await world.backlog() and not await world.dead():
            return put_back
        await trio.sleep(0.5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
async def test_whatever_is_lost_doubled_or_late_every_effect_happens_once_and_in_order(
    seed: int, autojump_clock: MockClock
) -> None:
    """Clauses J4, J6, J8 and J10."""
    random = Random(seed)
    worlds: list[World] = []
    faulty = [True]
    spec = ChildSpec("chaotic", lambda: Chaotic(random, worlds, faulty), name="chaotic")
    async with relaying(spec) as world:
        worlds.append(world)
        await world.database.execute(CREATE_EFFECTS)
        await publish_and_disturb(world, random)
        await trio.sleep(60)
        faulty.clear()
        with trio.fail_after(60):
            put_back = await converge(world)
        done = await effects(world.database)
        assert sorted(done) == list(range(EVENTS))
        assert len(put_back) < EVENTS / 20
        for lane in in_lanes([number for number in done if number not in put_back]):
            assert lane == sorted(lane)
