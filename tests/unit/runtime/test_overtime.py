"""The watchdog for handlers over their hard limit, in virtual time."""

import re
from collections.abc import AsyncIterator, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest
import structlog
import trio
from trio.testing import MockClock

from runtime import (
    ActorRef,
    ActorSystem,
    AskTimeout,
    ChildSpec,
    Entities,
    Entity,
    TerminateChild,
    Workers,
)
from runtime.actor import Actor
from runtime.envelope import Envelope
from runtime.overtime import LOOK_S
from tests.unit.runtime.helpers import Note, Probe, Run, Wait, end, running, settle

LIMIT_S = 30.0
NOTICED_S = LIMIT_S + 2 * LOOK_S
"""By then it is told."""


async def hang(*_: object) -> None:
    await trio.sleep_forever()


class Slow(Probe):
    hard_limit_s: ClassVar[float] = LIMIT_S


class SlowInBatches(Actor):
    hard_limit_s: ClassVar[float] = LIMIT_S
    batch_max: ClassVar[int] = 8

    async def receive_batch(self, batch: Sequence[Envelope]) -> None:
        await hang()


class SlowByTimer(Actor):
    hard_limit_s: ClassVar[float] = LIMIT_S

    async def started(self) -> None:
        self.timers.start("now", 0.0, Note("due"))

    async def receive(self, message: object) -> None:
        await hang()


class SlowWorkers(Workers):
    hard_limit_s: ClassVar[float] = LIMIT_S

    async def receive(self, message: object) -> None:
        await hang()


class SlowEntity(Entity):
    hard_limit_s: ClassVar[float] = LIMIT_S

    async def receive(self, message: object) -> None:
        await hang()


Logged = list[MutableMapping[str, Any]]


@asynccontextmanager
async def watched(make: Callable[[], Actor]) -> AsyncIterator[tuple[ActorSystem, Logged]]:
    with structlog.testing.capture_logs() as entries:
        async with running([ChildSpec("slow", make, name="slow")]) as system:
            yield system, entries


def told(entries: Logged) -> Logged:
    return [entry for entry in entries if "over_its_limit" in entry["event"]]


def counted(system: ActorSystem, actor: str) -> float:
    name = "loyalnest_handlers_over_limit_total"
    value = system.metrics.registry.get_sample_value(name, {"actor": actor})
    assert value is not None, "a series that appears with its first event has not grown"
    return value


async def test_handler_that_hangs_is_told_once_with_where_it_stands(
    autojump_clock: MockClock,
) -> None:
    """Clause L12: it is not ended by that, and goes on when it can."""
    async with watched(Slow) as (system, entries):
        gate = trio.Event()
        system.ref("slow").tell(Run(lambda _: gate.wait()))
        await trio.sleep(LIMIT_S - 0.1)
        assert told(entries) == []
        await trio.sleep(10 * NOTICED_S)
        (entry,) = told(entries)
        assert (entry["address"], entry["actor"], entry["message"]) == ("root/slow", "Slow", "Run")
        assert entry["limit_s"] == LIMIT_S <= entry["for_s"] <= NOTICED_S
        assert "helpers:" in entry["where"]
        assert re.search(r" > trio\._sync:\d+ wait > ", entry["where"])
        (overdue,) = system.overtime.overdue()
        assert overdue.for_s > 9 * NOTICED_S
        assert counted(system, "Slow") == 1 + counted(system, "Supervisor")
        gate.set()
        await trio.sleep(LOOK_S)
        assert [entry["event"] for entry in told(entries)][1:] == ["handler_over_its_limit_ended"]
        assert system.overtime.overdue() == ()
        assert (await system.ref("slow").inspect()).incarnation == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [(SlowInBatches, "Note"), (SlowByTimer, "TimerFired"), (SlowWorkers, "Note")],
)
async def test_batches_timers_and_workers_are_watched_as_well(
    make: Callable[[], Actor], message: str, autojump_clock: MockClock
) -> None:
    """Clause L12."""
    async with watched(make) as (system, entries):
        if make is not SlowByTimer:
            system.ref("slow").tell(Note("work"))
        await trio.sleep(NOTICED_S)
        assert [entry["message"] for entry in told(entries)] == [message]
        system.ref("slow").kill()
        await settle()
        assert [entry["event"] for entry in told(entries)][1:] == ["handler_over_its_limit_ended"]


async def test_entities_are_watched_as_well(autojump_clock: MockClock) -> None:
    """Clause L12."""
    async with watched(lambda: Entities("many", lambda _: SlowEntity())) as (system, entries):
        system.entities("many").ref("k").tell(Note("work"))
        await trio.sleep(NOTICED_S)
        assert [entry["address"] for entry in told(entries)] == ["many/k"]


async def test_handler_that_shields_itself_is_told_though_its_asker_has_gone(
    autojump_clock: MockClock,
) -> None:
    """Clauses L4, L12: the one case in which a deadline does not end it."""

    async def shielded(_: Probe) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(2 * NOTICED_S)

    async with watched(Slow) as (system, entries):
        with pytest.raises(AskTimeout):
            await system.ref("slow").ask(Run(shielded), timeout_s=1.0)
        await trio.sleep(NOTICED_S)
        assert [entry["event"] for entry in told(entries)] == ["handler_over_its_limit"]


async def test_many_short_messages_one_after_the_other_are_not_one_long_one(
    autojump_clock: MockClock,
) -> None:
    """Clause L12: neither is a wait in the mailbox."""
    async with watched(Slow) as (system, entries):
        ref: ActorRef = system.ref("slow")
        for _ in range(20):
            ref.tell(Wait(LIMIT_S - 1.0))
        await trio.sleep(20 * LIMIT_S)
        assert (await ref.inspect()).handled == 20
        assert told(entries) == []


async def test_supervisor_that_waits_for_a_child_is_not_told(autojump_clock: MockClock) -> None:
    """Clause L12: starts and stops have limits of their own."""
    child = ChildSpec("slow", Slow, name="slow", shutdown_s=1_000.0)
    with structlog.testing.capture_logs() as entries:
        async with running([child]) as system:
            system.ref("slow").tell(Wait(500.0))
            await settle()
            await system.ref("root").ask(TerminateChild("slow"), timeout_s=1_000.0)
            assert trio.current_time() >= 500.0
        assert {entry["address"] for entry in told(entries)} == {"root/slow"}


async def test_nothing_is_kept_of_who_has_ended(autojump_clock: MockClock) -> None:
    """Clause L12."""
    async with watched(Slow) as (system, _):
        await trio.sleep(LOOK_S)
        before = len(system.overtime._tasks)
        for _ in range(5):
            await end(system.ref("slow"))
        assert len(system.overtime._tasks) == before == 2
    assert not system.overtime._tasks
    assert not system.overtime._pieces
