"""A relay on a real database in memory, and consumers that fail as they are told to."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from runtime import DEFERRED, Actor, ActorSystem, ChildSpec, MailboxSpec
from runtime.context import current_trace_id
from runtime.journal import JOURNAL, Append, Journal, Rejected
from runtime.outbox import RELAY, DeadEvent, Deliver, GetBacklog, ListDeadEvents, Nudge, OutboxEvent
from runtime.outbox_relay import OutboxRelay
from runtime.ownership import Ownership
from runtime.storage import (
    RUNTIME_MIGRATIONS,
    AnyEntry,
    Database,
    DatabaseHandle,
    Row,
    Write,
    migrate,
    open_database,
)
from runtime.storage.outbox import outbox_write
from runtime.storage.port import Query
from tests.stores import patient, patient_pipeline
from tests.unit.runtime.helpers import START, running

Behaviour = Callable[[tuple[OutboxEvent, ...]], object]
"""What a consumer does with a delivery: None takes it, an exception to answer with, DEFERRED
to stay silent."""


def event(number: int, topic: str = "topic", key: str = "k") -> Write:
    return outbox_write(
        merchant_id="m",
        event_id=f"e{number:05}",
        topic=topic,
        key=key,
        payload={"number": number},
        created_at=START,
    )


def numbers(events: Iterable[OutboxEvent]) -> list[int]:
    return [int(each.event_id[1:]) for each in events]


def take(_events: tuple[OutboxEvent, ...]) -> object:
    return None


@attrs.define(eq=False)
class Consumer(Actor):
    """`asked` has every delivery, `got` what was taken."""

    name: str
    behaviour: Behaviour = take
    asked: list[list[int]] = attrs.field(factory=list)
    got: list[int] = attrs.field(factory=list)
    traces: list[tuple[str | None, ...]] = attrs.field(factory=list)

    async def receive(self, message: Any) -> object:
        assert isinstance(message, Deliver)
        self.asked.append(numbers(message.events))
        self.traces.append((current_trace_id(), *(each.trace_id for each in message.events)))
        answer = self.behaviour(message.events)
        if isinstance(answer, Exception):
            self.envelope.fail(answer)
        elif answer is None:
            self.got += numbers(message.events)
        return answer if answer is DEFERRED else None


def poison(*bad: int, error: Exception | object = None) -> Behaviour:
    """Fails on deliveries that hold one of these events."""
    failure = error if error is not None else ValueError("cannot be read")
    return lambda events: failure if set(bad) & set(numbers(events)) else None


@attrs.define(eq=False)
class Watched(DatabaseHandle):
    """Counts what the store is asked to do, and fails the next appends on request."""

    reads: int = 0
    entries: int = 0
    failures: list[Exception] = attrs.field(factory=list)

    def __attrs_pre_init__(self) -> None:
        super().__init__(patient_pipeline())

    async def fetch(self, sql: str, *values: Any) -> list[Row]:
        self.reads += 1
        return await super().fetch(sql, *values)

    async def fetch_many(self, queries: Sequence[Query]) -> list[list[Row]]:
        self.reads += 1
        return await super().fetch_many(queries)

    async def append(self, entries: Sequence[AnyEntry], *, synchronous: bool = True) -> None:
        self.entries += len(entries)
        if self.failures:
            raise self.failures.pop()
        await super().append(entries, synchronous=synchronous)


@attrs.frozen
class World:
    system: ActorSystem
    store: Watched
    database: Database
    """The one behind `store`, which is there all the time."""

    async def publish(self, *events: Write) -> None:
        answer: Rejected | None = await self.system.ref(JOURNAL).ask(Append(events, True))
        assert answer is None

    async def publish_at_once(self, events: Sequence[Write]) -> None:
        """Any number of events, before the relay looks."""
        await self.database.append([tuple(events)])
        self.system.ref(RELAY).tell(Nudge())

    async def backlog(self) -> int:
        return await self.system.ref(RELAY).ask(GetBacklog())

    async def dead(self) -> tuple[DeadEvent, ...]:
        return await self.system.ref(RELAY).ask(ListDeadEvents())

    def metric(self, name: str, **labels: str) -> float:
        found = self.system.metrics.registry.get_sample_value(f"loyalnest_{name}", labels)
        return found if found is not None else 0.0


def spec(consumer: Consumer) -> ChildSpec:
    """One that keeps what it got across restarts."""

    def start() -> Actor:
        fresh = Consumer(consumer.name, consumer.behaviour)
        fresh.asked, fresh.got, fresh.traces = consumer.asked, consumer.got, consumer.traces
        return fresh

    return ChildSpec(consumer.name, start, name=consumer.name)


@asynccontextmanager
async def relaying(
    *consumers: Consumer | ChildSpec,
    subscriptions: Mapping[str, Sequence[str]] | None = None,
    ownership: Ownership | None = None,
) -> AsyncIterator[World]:
    """A journal, the consumers, and a relay; all subscribe to `topic` unless said otherwise."""
    database = await open_database("sqlite:///:memory:")
    await migrate(database, [RUNTIME_MIGRATIONS], START)
    store = Watched()
    store.attach(database)
    specs = [each if isinstance(each, ChildSpec) else spec(each) for each in consumers]
    topics = subscriptions if subscriptions is not None else {"topic": [s.id for s in specs]}
    mailbox = MailboxSpec(capacity=4096)
    children = (
        ChildSpec("journal", lambda: Journal(store, ownership), name=JOURNAL, mailbox=mailbox),
        *specs,
        ChildSpec("relay", lambda: OutboxRelay(store, topics, ownership), name=RELAY),
    )
    try:
        async with running(children) as system:
            yield World(system, store, patient(database))
    finally:
        await database.close()


async def quiet() -> None:
    """Until nobody does anything any more without time passing."""
    await trio.testing.wait_all_tasks_blocked()
