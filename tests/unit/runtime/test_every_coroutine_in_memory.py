"""The coroutines of references, policies, caches and spools: checkpoints, cancelled anywhere.

Those of journal, relay, jobs and stores are in tables of their own.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Annotated, Any, ClassVar

import attrs
import pytest
import trio
from msgspec import Meta
from trio.testing import assert_checkpoints

from runtime import (
    ActorRef,
    ActorSystem,
    ChildSpec,
    Entities,
    Entity,
    EntityRef,
    MessageTrace,
    ask_all,
    request_context,
)
from runtime.cache import STREAM_START, Limit
from runtime.cache.memory import MemoryCache
from runtime.cache.opening import open_cache
from runtime.changes import Changes
from runtime.moment import Moment
from runtime.policies import Pipeline, PipelineSpec
from runtime.policies.bulkhead import Bulkhead, BulkheadSpec
from runtime.policies.chaos import Chaos, ChaosSpec, Fault
from runtime.policies.errors import BulkheadFull, ChaosInjected
from runtime.policies.fallback import NO_FALLBACK, Fallback
from runtime.policies.flights import Flights
from runtime.policies.limiters import SharedLimiter
from runtime.policies.limits import Claim
from runtime.policies.priority import Priority
from runtime.policies.rate_limit import RateLimit, RateLimitSpec
from runtime.policies.retry import Retry, RetrySpec
from runtime.policies.shedding import LoadShedder, SheddingSpec
from runtime.ports import seeded_ports
from runtime.rotation import RotatingSecret
from runtime.spool import FileSpool, MemoryDisk, MemorySpool, Spool
from runtime.storage import open_database
from runtime.telemetry import Metrics
from tests.unit.runtime.helpers import START, Add, Note, Probe, running, settle

MOMENTS = 10
"""Checkpoints after which a call is cancelled; most take fewer."""

MANY = Limit(1_000_000, 1.0, 1_000_000)
CLAIM = Claim("scope", "key", MANY)


class Patient(Probe):
    """A probe whose patience operators may change."""

    replaceable: ClassVar[frozenset[str]] = frozenset({"patience_s"})
    patience_s: Annotated[float, Meta(gt=0)] = 1.0


class Adding(Entity):
    """Answers with what it is asked to add."""

    async def receive(self, message: Any) -> object:
        return message.amount if isinstance(message, Add) else None


def full_bulkhead() -> Bulkhead:
    """Its only permit is held, and nobody may wait."""
    full = Bulkhead("full", BulkheadSpec(running=1, waiting=0))
    assert full.try_acquire()
    return full


@attrs.define(eq=False)
class World:
    """One of each; `directory` is for files. Nothing in here waits for anything but a turn."""

    system: ActorSystem
    ref: ActorRef
    entity: EntityRef
    trace: MessageTrace
    directory: Path
    cache: MemoryCache
    memory: Spool
    file: Spool
    full: Bulkhead = attrs.field(factory=full_bulkhead)
    bulkhead: Bulkhead = attrs.field(factory=lambda: Bulkhead("b", BulkheadSpec(running=1)))
    shedder: LoadShedder = attrs.field(factory=lambda: LoadShedder("s", SheddingSpec(), Random(1)))
    pipeline: Pipeline = attrs.field(factory=lambda: Pipeline("p", PipelineSpec(), Random(1)))
    retry: Retry = attrs.field(factory=lambda: Retry("r", RetrySpec(), Random(1)))
    fallback: Fallback = attrs.field(factory=lambda: Fallback("f", NO_FALLBACK))
    flights: Flights[int] = attrs.field(factory=Flights)
    past: Moment = attrs.field(factory=Moment)
    changes: Changes = attrs.field(factory=Changes)
    secret: RotatingSecret = attrs.field(factory=lambda: RotatingSecret("s"))
    turn: int = 0


async def one(*_: object) -> int:
    await trio.lowlevel.checkpoint()
    return 1


async def refused(full: Bulkhead) -> None:
    with suppress(BulkheadFull):
        await full.acquire()


async def held_for_a_turn(w: World) -> None:
    """Take the only permit while another one has it."""
    taken = w.bulkhead.try_acquire()
    async with trio.open_nursery() as nursery:
        if taken:
            nursery.start_soon(_give_back, w.bulkhead)
        await w.bulkhead.acquire()
        w.bulkhead.release()


async def _give_back(bulkhead: Bulkhead) -> None:
    try:
        await trio.lowlevel.checkpoint()
    finally:
        bulkhead.release()


async def admitted_after_a_wait(w: World) -> None:
    """When all may have begun that may, and one of them ends."""
    with ExitStack() as held:
        while (permit := w.shedder.try_admit(Priority.WRITES)) is not None:
            held.callback(permit.abandon)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_end_one, held)
            (await w.shedder.admit(Priority.WRITES)).abandon()


async def _end_one(held: ExitStack) -> None:
    await trio.lowlevel.checkpoint()
    held.close()


async def struck(fault: Fault) -> None:
    chaos = Chaos("c", Random(1), allowed=True)
    chaos.switch(ChaosSpec(fault=fault))
    with suppress(ChaosInjected):
        await chaos.strike()


async def doubted(w: World) -> None:
    w.secret.refused()
    await w.secret.doubted()


async def heard_of(w: World) -> None:
    with w.changes.watching("name") as watch:
        w.changes.tell("name")
        await watch.wait()


async def subscribed(w: World) -> None:
    async with w.cache.subscribe("channel") as subscription:
        await w.cache.publish("channel", b"1")
        assert await anext(aiter(subscription)) is not None


async def opened_file(w: World) -> None:
    w.turn += 1
    spool = await FileSpool.open(w.directory / str(w.turn))
    await spool.close()


async def opened_memory(w: World) -> None:
    spool = await MemorySpool.open(MemoryDisk())
    await spool.close()


async def opened_cache(w: World) -> None:
    async with open_cache(None, seeded_ports(1, START), Metrics()) as cache:
        await cache.get("key")


async def opened_database(w: World) -> None:
    w.turn += 1
    database = await open_database(f"sqlite:///{w.directory / str(w.turn)}.db")
    await database.close()


Calls = dict[str, Callable[[World], Awaitable[object]]]

REFERENCES: Calls = {
    "ActorRef.send": lambda w: w.ref.send(Note("n")),
    "ActorRef.ask": lambda w: w.ref.ask(Add(1)),
    "ActorRef.inspect": lambda w: w.ref.inspect(),
    "ActorRef.get_state": lambda w: w.ref.get_state(),
    "ActorRef.replace_state": lambda w: w.ref.replace_state({"patience_s": 2.0}),
    "ActorRef.suspend": lambda w: w.system.ref("other").suspend(1.0),
    "ActorRef.resume": lambda w: w.ref.resume(),
    "ActorRef.trace": lambda w: w.ref.trace(1.0, 10),
    "ActorRef.stop_trace": lambda w: w.ref.stop_trace(),
    "EntityRef.send": lambda w: w.entity.send(Note("n")),
    "EntityRef.ask": lambda w: w.entity.ask(Add(1)),
    "ask_all": lambda w: ask_all([(w.ref, Add(1)), (w.entity, Add(1))]),
    "ask_all of nobody": lambda w: ask_all([]),
    "MessageTrace.wait": lambda w: w.trace.wait(0),
    "Moment.wait": lambda w: w.past.wait(),
}

POLICIES: Calls = {
    "Bulkhead.acquire": held_for_a_turn,
    "Bulkhead.acquire of a full one": lambda w: refused(w.full),
    "Chaos.strike with a delay": lambda _: struck(Fault.DELAY),
    "Chaos.strike with an error": lambda _: struck(Fault.ERROR),
    "Fallback.call": lambda w: w.fallback.call("key", one),
    "Flights.load": lambda w: w.flights.load("key", one),
    "LoadShedder.admit where it waits": admitted_after_a_wait,
    "Pipeline.call": lambda w: w.pipeline.call(one),
    "Pipeline.answer": lambda w: w.pipeline.answer("key", one),
    "RateLimit.admit where it asks": lambda w: RateLimit(
        "r", RateLimitSpec(count=1_000), SharedLimiter(_Shared(w.cache))
    ).admit(),
    "RateLimit.call where it asks": lambda w: RateLimit(
        "r", RateLimitSpec(count=1_000), SharedLimiter(_Shared(w.cache))
    ).call(one),
    "Retry.call": lambda w: w.retry.call(one),
    "SharedLimiter.take where it asks": lambda w: SharedLimiter(_Shared(w.cache)).take(CLAIM),
}

CACHES: Calls = {
    "MemoryCache.get": lambda w: w.cache.get("key"),
    "MemoryCache.set": lambda w: w.cache.set("key", b"1", 1.0),
    "MemoryCache.delete": lambda w: w.cache.delete("key"),
    "MemoryCache.take": lambda w: w.cache.take("limit", MANY),
    "MemoryCache.publish": lambda w: w.cache.publish("channel", b"1"),
    "MemoryCache.subscribe": subscribed,
    "MemoryCache.append": lambda w: w.cache.append("stream", b"1", 10),
    "MemoryCache.read": lambda w: w.cache.read("stream", STREAM_START, 1),
    "MemoryCache.last_id": lambda w: w.cache.last_id("stream"),
    "open_cache": opened_cache,
    "open_database": opened_database,
    "RotatingSecret.doubted": doubted,
    "Watch.wait": heard_of,
}

SPOOLS: Calls = {
    f"{kind}.{name}": call
    for kind, spool in (
        ("MemorySpool", lambda w: w.memory),
        ("FileSpool", lambda w: w.file),
    )
    for name, call in {
        "append": lambda w, spool=spool: spool(w).append([b"record"]),
        "read": lambda w, spool=spool: spool(w).read(0, 10),
        "acknowledge": lambda w, spool=spool: spool(w).acknowledge(1),
    }.items()
} | {"MemorySpool.open": opened_memory, "FileSpool.open": opened_file}

CALLS: Calls = {**REFERENCES, **POLICIES, **CACHES, **SPOOLS}


@attrs.frozen
class _Shared:
    """A cache that two processes share."""

    cache: MemoryCache
    processes: int = 2

    async def take(self, key: str, limit: Limit, cost: int = 1) -> Any:
        return await self.cache.take(key, limit, cost)


@asynccontextmanager
async def world(directory: Path) -> AsyncIterator[World]:
    children = (
        ChildSpec("patient", Patient, name="patient"),
        ChildSpec("other", Probe, name="other"),
        ChildSpec("many", lambda: Entities("many", lambda _: Adding())),
    )
    async with running(children) as system:
        trace = await system.ref("other").trace(60.0, 1)
        await system.ref("other").ask(Add(1))
        file = await FileSpool.open(directory / "spool")
        made = World(
            system,
            system.ref("patient"),
            system.entities("many").ref("k"),
            trace,
            directory,
            MemoryCache(Random(1)),
            await MemorySpool.open(MemoryDisk()),
            file,
        )
        made.past.set()
        yield made
        await made.memory.close()
        await file.close()


async def _call(w: World, name: str) -> None:
    """As somebody who has time."""
    with request_context(deadline=trio.current_time() + 60):
        await CALLS[name](w)


@pytest.mark.parametrize("name", CALLS)
async def test_it_is_a_checkpoint(name: str, tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await _call(w, name)
        with assert_checkpoints():
            await _call(w, name)


@pytest.mark.parametrize("name", CALLS)
async def test_cancelled_at_any_moment_it_does_no_harm(name: str, tmp_path: Path) -> None:
    """Clauses D6, C2, P4, P8: nothing is held afterwards, and the next call goes through."""
    async with world(tmp_path) as w:
        with trio.CancelScope() as scope:
            scope.cancel()
            await _call(w, name)
        assert scope.cancelled_caught
        for moment in range(MOMENTS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_call, w, name)
                await settle(moment)
                nursery.cancel_scope.cancel()
            with trio.fail_after(10):
                await _call(w, name)
        await settle()
        assert w.bulkhead.statistics().in_use == w.bulkhead.statistics().waiting == 0
        assert w.flights.keys == ()
        assert len(w.changes) == 0
        assert w.shedder.statistics().in_flight == 0
        assert sum(len(waiting) for waiting in w.system.deadlines.buckets.values()) == 0
