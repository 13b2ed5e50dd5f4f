"""Cancelling the public coroutines: send, ask, inspect, and the run of a system."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime import ActorRef, ActorSystem, ChildSpec, MailboxSpec, Suspend
from runtime.deadletters import DeadReason
from tests.unit.runtime.helpers import (
    Add,
    Note,
    Probe,
    Run,
    Wait,
    probe,
    running,
    settle,
)

COROUTINES: list[Callable[[ActorRef], Any]] = [
    lambda ref: ref.send(Note("cancelled")),
    lambda ref: ref.ask(Add(1)),
    lambda ref: ref.inspect(),
]
NAMES = ["send", "ask", "inspect"]


@asynccontextmanager
async def busy(diary: list[str]) -> AsyncIterator[tuple[ActorSystem, trio.Event]]:
    """An actor that is busy until the gate opens, with one unread message and no more room."""
    gate = trio.Event()
    async with running([probe("a", diary, mailbox=MailboxSpec(capacity=1))]) as system:
        system.ref("a").tell(Run(lambda _: gate.wait()))
        await settle()
        system.ref("a").tell(Note("unread"))
        yield system, gate


@pytest.mark.parametrize("call", COROUTINES, ids=NAMES)
async def test_scope_that_is_cancelled_already_ends_every_call(
    call: Callable[[ActorRef], Any],
) -> None:
    """Clauses M4, D6: nothing is sent; what is asked may still be taken up."""
    diary: list[str] = []
    async with running([probe("a", diary)]) as system:
        with trio.CancelScope() as scope:
            scope.cancel()
            await call(system.ref("a"))
            pytest.fail("not a checkpoint")
        assert scope.cancelled_caught
        await settle()
        assert diary == ["start a"]
        assert (await system.ref("a").inspect()).depth == 0


@pytest.mark.parametrize("call", COROUTINES[:2], ids=NAMES[:2])
async def test_cancelled_while_waiting_for_room_nothing_is_delivered(
    call: Callable[[ActorRef], Any],
) -> None:
    """Clauses M4, D6."""
    diary: list[str] = []
    async with busy(diary) as (system, gate):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(call, system.ref("a"))
                await settle()
                scope.cancel()
        gate.set()
        await settle()
        assert diary == ["start a", "unread"]
        assert await system.ref("a").ask(Add(5)) == 5


async def test_sender_behind_a_cancelled_one_still_gets_in() -> None:
    """Clause M4."""
    diary: list[str] = []
    async with busy(diary) as (system, gate), trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as impatient:
                impatient.start_soon(system.ref("a").send, Note("cancelled"))
                await settle()
                nursery.start_soon(system.ref("a").send, Note("patient"))
                await settle()
                scope.cancel()
        gate.set()
        await settle()
        assert diary == ["start a", "unread", "patient"]


async def test_sender_cancelled_when_room_came_has_delivered_or_not_but_keeps_no_place() -> None:
    """Clause M4: the one behind it gets in either way."""
    diary: list[str] = []
    async with busy(diary) as (system, gate), trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as impatient:
                impatient.start_soon(system.ref("a").send, Note("first"))
                await settle()
                nursery.start_soon(system.ref("a").send, Note("second"))
                await settle()
                gate.set()
                scope.cancel()
        await settle()
        assert diary[-1] == "second"


async def test_cancelled_inspect_is_withdrawn() -> None:
    """Clause D6."""
    gate = trio.Event()
    async with running([probe("a")]) as system:
        system.ref("a").tell(Run(lambda _: gate.wait()))
        await settle()
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(system.ref("a").inspect)
                await settle()
                scope.cancel()
        assert scope.cancelled_caught
        gate.set()
        assert (await system.ref("a").inspect()).depth == 0


async def test_ask_cancelled_after_its_answer_keeps_the_answer() -> None:
    """Clause D6."""
    answers: list[int] = []
    async with running([probe("a")]) as system:
        scope = trio.CancelScope()

        async def ask() -> None:
            with scope:
                answers.append(await system.ref("a").ask(Add(3)))

        async with trio.open_nursery() as nursery:
            system.ref("a").signal(Suspend())
            await settle()
            nursery.start_soon(ask)
            await settle()
            envelope = system.ref("a")._cell.items[0]
            envelope.reply(99)
            scope.cancel()
    assert answers == [99]


async def test_ask_cancelled_before_its_answer_drops_the_answer() -> None:
    """Clauses A1, D6."""
    async with running([probe("a")]) as system:
        system.ref("a").signal(Suspend())
        await settle()
        scope = trio.CancelScope()

        async def ask() -> None:
            with scope:
                await system.ref("a").ask(Add(3))
                pytest.fail("the answer came too late")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await settle()
            envelope = system.ref("a")._cell.items[0]
            scope.cancel()
            envelope.reply(99)
        assert scope.cancelled_caught


async def test_cancelling_one_of_many_asks_touches_no_other(autojump_clock: MockClock) -> None:
    """Clauses A1, D6."""
    answers: list[int] = []
    async with running([probe("a")]) as system:
        ref = system.ref("a")
        ref.tell(Wait(1))

        async def ask() -> None:
            answers.append(await ref.ask(Add(1)))

        async with trio.open_nursery() as nursery:
            for index in range(30):
                if index % 3:
                    nursery.start_soon(ask)
                else:
                    nursery.start_soon(_cancelled_soon, ref)
        assert sorted(answers) == list(range(1, 21))
        assert system.dead_letters.counts[DeadReason.WITHDRAWN] == 10


async def _cancelled_soon(ref: ActorRef) -> None:
    with trio.move_on_after(0.5):
        await ref.ask(Add(1))
        pytest.fail("cancelled too late")


async def test_cancelled_asks_leave_nothing_behind() -> None:
    async with running([probe("a")]) as system:
        ref = system.ref("a")
        for _ in range(100):
            with trio.CancelScope() as scope:
                scope.cancel()
                await ref.ask(Add(1), timeout_s=60)
        assert sum(len(bucket) for bucket in system.deadlines.buckets.values()) == 0


async def test_chain_of_asks_is_cancelled_as_a_whole(autojump_clock: MockClock) -> None:
    """Clause D6."""
    ended: list[str] = []

    async def work(actor: Probe) -> None:
        try:
            await trio.sleep(60)
        finally:
            ended.append(actor.name)

    async with running([probe("a"), probe("b")]) as system:

        async def relay(actor: Probe) -> None:
            try:
                await system.ref("b").ask(Run(work))
            finally:
                ended.append(actor.name)

        with trio.move_on_after(1):
            await system.ref("a").ask(Run(relay))
        await settle()
        assert sorted(ended) == ["a", "b"]
        assert await system.ref("a").ask(Add(1)) == await system.ref("b").ask(Add(1)) == 1


async def test_cancelling_a_system_that_starts_stops_what_had_started(
    autojump_clock: MockClock,
) -> None:
    """Clause S1."""
    diary: list[str] = []

    class Slow(Probe):
        async def started(self) -> None:
            await trio.sleep(3)
            await super().started()

    with trio.move_on_after(1) as scope:
        async with running([probe("a", diary), ChildSpec("b", lambda: Slow(diary, "b"))]):
            pytest.fail("the block must not run")
    assert scope.cancelled_caught
    assert diary == ["start a", "start b", "stop b shutdown", "stop a shutdown"]
