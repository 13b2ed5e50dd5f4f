"""Events between domains: two consumers, one of them fails on some events until it is helped."""

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any, ClassVar

import attrs

from runtime import REFUSING, Actor, ActorError, Call, ChildSpec, Workers
from runtime.inbox import take_effect
from runtime.journal import JOURNAL, Append, Rejected
from runtime.outbox import Deliver, OutboxEvent
from runtime.sim import FaultSpec, Life, Operation, Run, Scenario, World
from runtime.storage import (
    Database,
    Entry,
    Statement,
    StorageError,
    Write,
)
from runtime.storage.outbox import INSERT_EVENT, outbox_write
from supervisors.simulation.parts import COUNT_UNDELIVERED, MERCHANT, put_back_dead_events
from supervisors.simulation.tree import (
    PLATFORM_ACTORS,
    PLATFORM_MIGRATIONS,
    replace_where_taken_over,
    simulated_platform,
)

TOPIC = "simulated.happened"
PUBLISHER = "simulated.publisher"
CONSUMERS = ("simulated.first", "simulated.second")
KEYS = ("red", "green", "blue")
PUT_BACK = "event_put_back"

FAILURES, WEIGHTS = (0, 1, 6), (90, 8, 2)
"""How often an event is failed on. After five times it is set aside, and comes back by hand."""

CREATE_PUBLISHED = (
    "CREATE TABLE simulated_published (merchant_id TEXT NOT NULL, number BIGINT NOT NULL,"
    " PRIMARY KEY (merchant_id, number))"
)
CREATE_EFFECTS = (
    "CREATE TABLE simulated_effects (merchant_id TEXT NOT NULL, effect_id TEXT NOT NULL,"
    " consumer TEXT NOT NULL, key TEXT NOT NULL, number BIGINT NOT NULL,"
    " PRIMARY KEY (merchant_id, effect_id))"
)
INSERT_PUBLISHED = Statement(
    "simulated.insert_published",
    "INSERT INTO simulated_published (merchant_id, number) VALUES ($1, $2)",
    10,
)
INSERT_EFFECT = Statement(
    "simulated.insert_effect",
    "INSERT INTO simulated_effects (merchant_id, effect_id, consumer, key, number)"
    " VALUES ($1, $2, $3, $4, $5)",
    50,
)
SELECT_PUBLISHED = "SELECT number FROM simulated_published WHERE merchant_id = $1"


@attrs.frozen
class Publish(Call[bool]):
    """To the publisher: an event with this number, once."""

    number: int
    key: str
    failures: int


class Publisher(Workers):
    """Writes an event together with what makes it happen once."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    async def receive(self, message: Any) -> object:
        if not isinstance(message, Publish):
            return await super().receive(message)
        entry = (
            Write(INSERT_PUBLISHED, (MERCHANT, message.number)),
            outbox_write(
                merchant_id=MERCHANT,
                event_id=self.system.ids.new("ev"),
                topic=TOPIC,
                key=message.key,
                payload={"number": message.number, "failures": message.failures},
                created_at=self.system.clock.now(),
            ),
        )
        await self.system.ref(JOURNAL).ask(Append(entry, publishes=True))
        return True


class Consumer(Actor):
    """Lets each event take effect once; `fails` counts how often it failed on which."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, name: str, database: Database, failed: Counter[tuple[str, int]]) -> None:
        self._name = name
        self._database = database
        self._failed = failed

    async def receive(self, message: Any) -> object:
        if not isinstance(message, Deliver):
            return await super().receive(message)
        for event in message.events:
            await self._take(event)
        return None

    async def _take(self, event: OutboxEvent) -> None:
        payload: Any = event.payload
        number, failures = payload["number"], payload["failures"]
        if self._failed[self._name, number] < failures:
            self._failed[self._name, number] += 1
            raise RuntimeError("fails on purpose (simulated)")
        row = (MERCHANT, self.system.ids.new("effect"), self._name, event.key, number)
        rejected = await take_effect(
            self.system.ref(JOURNAL),
            self._database,
            self._name,
            event,
            (Write(INSERT_EFFECT, row),),
            self.system.clock.now(),
        )
        if isinstance(rejected, Rejected):
            raise rejected.violation


@attrs.frozen
class PublishOne(Operation):
    key: str
    failures: int

    def __str__(self) -> str:
        fails = f" that is failed on {self.failures} times" if self.failures else ""
        return f"publish an event of {self.key}{fails}"


@attrs.frozen
class Seen:
    """An effect as it was committed."""

    consumer: str
    key: str
    number: int


class OutboxScenario(Scenario):
    """The outbox alone: platform, a publisher and two consumers."""

    name = "outbox"
    operations = 30
    faults = FaultSpec(targets=(*PLATFORM_ACTORS, PUBLISHER, *CONSUMERS))
    schema = PLATFORM_MIGRATIONS
    tables = (CREATE_PUBLISHED, CREATE_EFFECTS)

    def __init__(self) -> None:
        self._failed: Counter[tuple[str, int]] = Counter()
        self._numbers = 0
        self._published: dict[int, tuple[int, str]] = {}
        self._effects: list[Seen] = []

    def tree(self, world: World, life: Life) -> ChildSpec:
        def children(database: Database) -> Sequence[ChildSpec]:
            return (
                ChildSpec("publisher", Publisher, name=PUBLISHER, mailbox=REFUSING),
                *(self._consumer(name, database) for name in CONSUMERS),
            )

        return simulated_platform(world, life, {TOPIC: CONSUMERS}, children)

    def _consumer(self, name: str, database: Database) -> ChildSpec:
        return ChildSpec(
            name, lambda: Consumer(name, database, self._failed), name=name, mailbox=REFUSING
        )

    async def prepare(self, run: Run) -> None:
        run.world.store.committed.append(self._note)

    def _note(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            for write in entry:
                if write.statement is INSERT_EVENT:
                    number = write.row[4]["number"]
                    self._published[number] = (len(self._published), write.row[1])
                elif write.statement is INSERT_EFFECT:
                    self._effects.append(Seen(*write.row[2:]))

    def draw(self, random: Random) -> Operation:
        failures = random.choices(FAILURES, WEIGHTS)[0]
        return PublishOne(random.choice(KEYS), failures)

    async def perform(self, run: Run, operation: Operation) -> None:
        if not isinstance(operation, PublishOne):
            raise TypeError(operation)
        self._numbers += 1
        message = Publish(self._numbers, operation.key, operation.failures)
        await run.until_answered(lambda system: system.ref(PUBLISHER).ask(message))

    async def recover(self, run: Run) -> None:
        system = await run.service.up()
        if not await replace_where_taken_over(run, system):
            await put_back_dead_events(system)

    async def at_rest(self, run: Run) -> bool:
        left: int = await run.world.store.real.fetch_value(COUNT_UNDELIVERED)
        return left == 0

    async def check(self, run: Run) -> None:
        rows = await run.world.store.real.fetch(SELECT_PUBLISHED, MERCHANT)
        there = {row[0] for row in rows}
        findings = run.findings
        for number in range(1, self._numbers + 1):
            findings.check(number in there, "nothing is lost", f"event {number} is not there")
        made = Counter((seen.consumer, seen.number) for seen in self._effects)
        for consumer in CONSUMERS:
            for number in sorted(there):
                count = made[consumer, number]
                detail = f"event {number} had {count} effects at {consumer}"
                findings.check(count >= 1, "every event has its effect", detail)
                findings.check(count <= 1, "no double effect", detail)
        if not run.world.trace.logged[PUT_BACK]:
            self._check_order(run)

    def _check_order(self, run: Run) -> None:
        """As long as nothing was set aside: in the order of ids, as far as events were there in
        it."""
        last: dict[tuple[str, str], int] = {}
        for seen in self._effects:
            lane = (seen.consumer, seen.key)
            if lane in last:
                other, this = self._published[last[lane]], self._published[seen.number]
                behind = this[0] < other[0] and this[1] < other[1]
                detail = f"{seen.number} after {last[lane]} at {seen.consumer}"
                run.findings.check(not behind, "order of events", detail)
            last[lane] = seen.number
