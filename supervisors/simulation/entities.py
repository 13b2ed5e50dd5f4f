"""Entities that fall asleep all the time: counters of which few may be awake at once."""

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any, ClassVar

import attrs
import trio

from runtime import (
    REFUSING,
    ActorError,
    Call,
    ChildSpec,
    Entities,
    Entity,
    ExitReason,
    Outcome,
)
from runtime.journal import JOURNAL, Append, Rejected
from runtime.sim import FaultSpec, Life, Operation, Run, Scenario, World
from runtime.storage import (
    Database,
    Statement,
    StorageError,
    Write,
)
from supervisors.simulation.parts import MERCHANT
from supervisors.simulation.tree import (
    PLATFORM_ACTORS,
    PLATFORM_MIGRATIONS,
    replace_where_taken_over,
    simulated_platform,
)

COUNTERS = "simulated.counters"
NAMES = ("one", "two", "three", "four")
AWAKE_MAX = 2
IDLE_S = 0.7
LEAVING_S = 0.05
"""How long one takes to fall asleep."""

CREATE_ADDED = (
    "CREATE TABLE simulated_added (merchant_id TEXT NOT NULL, counter TEXT NOT NULL,"
    " sequence BIGINT NOT NULL, operation BIGINT NOT NULL, total BIGINT NOT NULL,"
    " PRIMARY KEY (merchant_id, counter, sequence), UNIQUE (merchant_id, operation))"
)
INSERT_ADDED = Statement(
    "simulated.insert_added",
    "INSERT INTO simulated_added (merchant_id, counter, sequence, operation, total)"
    " VALUES ($1, $2, $3, $4, $5)",
    10,
)
SELECT_LAST = (
    "SELECT sequence, total FROM simulated_added WHERE merchant_id = $1 AND counter = $2"
    " ORDER BY sequence DESC LIMIT 1"
)
SELECT_ALL = (
    "SELECT counter, sequence, operation, total FROM simulated_added WHERE merchant_id = $1"
    " ORDER BY counter, sequence"
)
COUNT_OPERATION = "SELECT count(*) FROM simulated_added WHERE merchant_id = $1 AND operation = $2"


@attrs.frozen
class Add(Call[bool]):
    """To a counter: add 1, once for each number of an operation."""

    operation: int


class Counting(Entity):
    """Keeps its total in memory, and every addition in the store before it answers."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last: tuple[int, int] | None = None

    async def receive(self, message: Any) -> object:
        if not isinstance(message, Add):
            return await super().receive(message)
        sequence, total = self._last if self._last is not None else await self._load()
        self._last = None
        row = (MERCHANT, self.key, sequence + 1, message.operation, total + 1)
        try:
            answer = await self.system.ref(JOURNAL).ask(Append((Write(INSERT_ADDED, row),)))
        except ActorError as error:
            if error.outcome is Outcome.NOT_DELIVERED:
                self._last = (sequence, total)
            raise
        if isinstance(answer, Rejected):
            return await self._is_there(message.operation)
        self._last = (sequence + 1, total + 1)
        return True

    async def _load(self) -> tuple[int, int]:
        await self.system.ref(JOURNAL).ask(Append(()))
        row = await self._database.fetch_row(SELECT_LAST, MERCHANT, self.key)
        return (row[0], row[1]) if row is not None else (0, 0)

    async def _is_there(self, operation: int) -> bool:
        count: int = await self._database.fetch_value(COUNT_OPERATION, MERCHANT, operation)
        return count > 0

    async def stopped(self, reason: ExitReason) -> None:
        await trio.sleep(LEAVING_S)


@attrs.frozen
class AddOne(Operation):
    counter: str

    def __str__(self) -> str:
        return f"add one to {self.counter}"


class EntitiesScenario(Scenario):
    """Activations that come and go under load."""

    name = "entities"
    operations = 60
    pauses_s = (0.0, 0.05, 0.5, 1.5, 3.0)
    faults = FaultSpec(targets=(*PLATFORM_ACTORS, COUNTERS))
    schema = PLATFORM_MIGRATIONS
    tables = (CREATE_ADDED,)

    def __init__(self) -> None:
        self._added: dict[int, str] = {}

    def tree(self, world: World, life: Life) -> ChildSpec:
        def children(database: Database) -> Sequence[ChildSpec]:
            return (ChildSpec("counters", lambda: _counters(database), name=COUNTERS),)

        return simulated_platform(world, life, {}, children)

    def draw(self, random: Random) -> Operation:
        return AddOne(random.choice(NAMES))

    async def perform(self, run: Run, operation: Operation) -> None:
        if not isinstance(operation, AddOne):
            raise TypeError(operation)
        number = len(self._added) + 1
        self._added[number] = operation.counter
        await run.until_answered(
            lambda system: system.entities(COUNTERS).ref(operation.counter).ask(Add(number)),
            lambda added: added,
        )

    async def recover(self, run: Run) -> None:
        await replace_where_taken_over(run, await run.service.up())

    async def check(self, run: Run) -> None:
        rows = await run.world.store.real.fetch(SELECT_ALL, MERCHANT)
        there = {row["operation"]: row["counter"] for row in rows}
        run.findings.check(there == self._added, "nothing is lost", "additions are missing")
        sequences: Counter[str] = Counter()
        for counter, sequence, _, total in rows:
            sequences[counter] += 1
            right = sequence == total == sequences[counter]
            run.findings.check(right, "no double effect", f"{counter} at {sequence} is {total}")


def _counters(database: Database) -> Entities:
    return Entities(
        COUNTERS,
        lambda _key: Counting(database),
        max_active=AWAKE_MAX,
        idle_s=IDLE_S,
        mailbox=REFUSING,
    )
