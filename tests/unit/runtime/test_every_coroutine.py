"""The coroutines of journal, relay, jobs and cache in one table: checkpoints, cancelled anywhere.

None of them does harm to what comes after it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import attrs
import pytest
import trio
from trio.testing import assert_checkpoints

from runtime import ActorSystem, ChildSpec, request_context
from runtime.cache import STREAM_START, Cached, CacheHandle, Kind, Limit
from runtime.cache.memory import MemoryCache
from runtime.delivery import offer
from runtime.inbox import take_effect
from runtime.jobs import JOBS_MIGRATIONS
from runtime.jobs.model import NewJob
from runtime.jobs.pruning import in_steps
from runtime.jobs.store import JobStore
from runtime.journal import JOURNAL, Append, Journal
from runtime.outbox import DeadEvent, OutboxEvent
from runtime.outbox_store import OutboxStore
from runtime.ownership import Ownership
from runtime.storage import (
    RUNTIME_MIGRATIONS,
    AnyEntry,
    DatabaseHandle,
    Write,
    migrate,
    open_database,
)
from runtime.storage.inbox import find_seen
from runtime.storage.outbox import outbox_write
from runtime.storage.schema import pending
from runtime.telemetry import Metrics
from tests.unit.runtime.helpers import START, probe, running, settle
from tests.unit.runtime.relaying import Consumer

MIGRATIONS = (RUNTIME_MIGRATIONS, JOBS_MIGRATIONS)
MOMENTS = 10
"""Checkpoints after which a call is cancelled; most take fewer."""

EVENT = OutboxEvent("m", "e00001", "topic", "k", {"number": 1}, START)
DEAD = DeadEvent(EVENT, "consumer", 5, (), START)
PRICE = Kind("price", shared_ttl_s=3.0, local_ttl_s=2.0, blind_ttl_s=1.0, copies_max=3)
A_LIMIT = Limit(1_000, 1.0, 1_000)


@attrs.define(eq=False)
class World:
    """A store with a journal before it, a consumer, and a cache; `turn` numbers the calls."""

    system: ActorSystem
    database: DatabaseHandle
    outbox: OutboxStore
    jobs: JobStore
    ownership: Ownership
    cache: CacheHandle
    prices: Cached[int]
    turn: int = 0
    gate: trio.Event = attrs.field(factory=trio.Event)

    def event(self) -> Write:
        return outbox_write(
            merchant_id="m",
            event_id=f"e{self.turn}",
            topic="topic",
            key="k",
            payload={},
            created_at=START,
        )


async def one() -> int:
    await trio.lowlevel.checkpoint()
    return 1


async def load() -> bytes:
    await trio.lowlevel.checkpoint()
    return b"1"


def _new_job() -> NewJob:
    return NewJob(queue="q", name="n", merchant_id="m", unique_key="u")


async def _none(_before: Any, _limit: int) -> int:
    await trio.lowlevel.checkpoint()
    return 0


Calls = dict[str, Callable[[World], Awaitable[object]]]

JOURNAL_CALLS: Calls = {
    "Append": lambda w: w.system.ref(JOURNAL).ask(Append((w.event(),))),
    "Append of nothing": lambda w: w.system.ref(JOURNAL).ask(Append(())),
    "Ownership.claim": lambda w: Ownership().claim(w.database, w.system.ids),
    "Ownership.still_mine": lambda w: w.ownership.still_mine(w.database),
    "Ownership.still_mine before a claim": lambda w: Ownership().still_mine(w.database),
    "migrate": lambda w: migrate(w.database, MIGRATIONS, START),
    "pending": lambda w: pending(w.database, MIGRATIONS),
}

RELAY_CALLS: Calls = {
    "OutboxStore.write": lambda w: w.outbox.write([w.event()]),
    "OutboxStore.page": lambda w: w.outbox.page(["consumer"]),
    "OutboxStore.due": lambda w: w.outbox.due("consumer", START, 10, again=False),
    "OutboxStore.late_consumers": lambda w: w.outbox.late_consumers(("consumer",)),
    "OutboxStore.next_due": lambda w: w.outbox.next_due("consumer"),
    "OutboxStore.backlog": lambda w: w.outbox.backlog(),
    "OutboxStore.dead": lambda w: w.outbox.dead(("", ""), 10),
    "OutboxStore.one_dead": lambda w: w.outbox.one_dead("m", "consumer", "e"),
    "OutboxStore.revive": lambda w: w.outbox.revive(DEAD, [], START),
    "offer": lambda w: offer(w.system, "consumer", (EVENT,)),
    "find_seen": lambda w: find_seen(w.database, "m", "consumer", ["e"]),
    "take_effect": lambda w: take_effect(
        w.system.ref(JOURNAL), w.database, "consumer", EVENT, (w.event(),), START
    ),
}

JOB_CALLS: Calls = {
    "JobStore.now": lambda w: w.jobs.now(w.system.clock),
    "JobStore.claim": lambda w: w.jobs.claim("q", limit=1, worker="w", now=START, until=START),
    "JobStore.beat": lambda w: w.jobs.beat("q", worker="w", until=START),
    "JobStore.look": lambda w: w.jobs.look(("q", "r"), now=START, here=START),
    "JobStore.expired": lambda w: w.jobs.expired({"q": 1}, now=START),
    "JobStore.get": lambda w: w.jobs.get("m", "j"),
    "JobStore.live_twin": lambda w: w.jobs.live_twin(_new_job()),
    "JobStore.letter": lambda w: w.jobs.letter("j"),
    "JobStore.list_dead": lambda w: w.jobs.list_dead((START, ""), 1),
    "JobStore.counts": lambda w: w.jobs.counts(),
    "JobStore.oldest": lambda w: w.jobs.oldest(["q"]),
    "JobStore.oldest of no queue": lambda w: w.jobs.oldest([]),
    "JobStore.last_slot": lambda w: w.jobs.last_slot("m", "s"),
    "JobStore.prune_jobs": lambda w: w.jobs.prune_jobs(START, 1),
    "JobStore.prune_dead": lambda w: w.jobs.prune_dead(START, 1),
    "JobStore.prune_runs": lambda w: w.jobs.prune_runs(START, 1),
    "JobStore.notify": lambda w: w.jobs.notify("c", "q"),
    "in_steps": lambda w: in_steps(_none, START),
}

CACHE_CALLS: Calls = {
    "CacheHandle.load": lambda w: w.cache.load(f"load-{w.turn}", 1.0, load),
    "CacheHandle.get": lambda w: w.cache.get("key"),
    "CacheHandle.set": lambda w: w.cache.set("key", b"v", 1.0),
    "CacheHandle.delete": lambda w: w.cache.delete("key"),
    "CacheHandle.publish": lambda w: w.cache.publish("channel", b"v"),
    "CacheHandle.take": lambda w: w.cache.take("limit", A_LIMIT),
    "CacheHandle.append": lambda w: w.cache.append("stream", b"v", 10),
    "CacheHandle.read": lambda w: w.cache.read("stream", STREAM_START, 1),
    "CacheHandle.last_id": lambda w: w.cache.last_id("stream"),
    "Cached.get": lambda w: w.prices.get(f"price-{w.turn}", one),
    "Cached.get of a copy": lambda w: w.prices.get("price", one),
    "Cached.outdate": lambda w: w.prices.outdate("price"),
    "Cached.outdate of nothing": lambda w: w.prices.outdate(),
}

CALLS: Calls = {**JOURNAL_CALLS, **RELAY_CALLS, **JOB_CALLS, **CACHE_CALLS}


class Gated(DatabaseHandle):
    """Commits of the journal wait for the gate of the world."""

    world: World | None = None

    async def append(self, entries: Sequence[AnyEntry], *, synchronous: bool = True) -> None:
        if self.world is not None:
            await self.world.gate.wait()
        await super().append(entries, synchronous=synchronous)


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    database = await open_database("sqlite:///:memory:")
    with request_context(deadline=trio.current_time() + 60):
        await migrate(database, MIGRATIONS, START)
    handle, cache, ownership = Gated(), CacheHandle(), Ownership()
    handle.attach(database)
    cache.attach(MemoryCache(Random(1)), Metrics())
    children = (
        ChildSpec("journal", lambda: Journal(handle, ownership), name=JOURNAL),
        ChildSpec("consumer", lambda: Consumer("consumer"), name="consumer"),
        probe("probe"),
    )
    try:
        async with running(children) as system:
            await system.ref(JOURNAL).ask(Append(()))
            outbox = OutboxStore(system, handle)
            prices: Cached[int] = Cached(PRICE, int, cache)
            made = World(system, handle, outbox, JobStore(handle), ownership, cache, prices)
            made.gate.set()
            handle.world = made
            yield made
            made.gate.set()
    finally:
        await database.close()


async def _call(w: World, name: str) -> None:
    """As somebody who has time."""
    w.turn += 1
    with request_context(deadline=trio.current_time() + 60):
        await CALLS[name](w)


@pytest.mark.parametrize("name", CALLS)
async def test_it_is_a_checkpoint(name: str) -> None:
    async with world() as w:
        await _call(w, name)
        with assert_checkpoints():
            await _call(w, name)


@pytest.mark.parametrize("name", CALLS)
async def test_cancelled_at_any_moment_it_does_no_harm(name: str) -> None:
    """Clauses D6, J3, C2: in a scope that was cancelled before it always ends; later it may have
    happened."""
    async with world() as w:
        with trio.CancelScope() as scope:
            scope.cancel()
            await _call(w, name)
        assert scope.cancelled_caught
        for moment in range(MOMENTS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_call, w, name)
                await settle(moment)
                nursery.cancel_scope.cancel()
            await _call(w, name)
        await settle()
        assert sum(len(waiting) for waiting in w.system.deadlines.buckets.values()) == 0


async def test_write_of_the_relay_that_was_cancelled_is_waited_for_by_its_next_look() -> None:
    """Clauses J3, J4: no decision rests on what is about to change."""
    async with world() as w, trio.open_nursery() as nursery:
        w.gate = trio.Event()
        async with trio.open_nursery() as writing:
            writing.start_soon(w.outbox.write, [w.event()])
            await settle()
            writing.cancel_scope.cancel()
        seen: list[int] = []

        async def look() -> None:
            seen.append(len((await w.outbox.page([])).events))

        nursery.start_soon(look)
        await settle()
        assert seen == []
        w.gate.set()
        await settle()
        assert seen == [1]
