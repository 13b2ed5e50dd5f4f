"""Actors that take their mailbox in batches."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest
import trio
from trio.testing import MockClock

from runtime import (
    Actor,
    ActorDown,
    ActorSystem,
    AskCycle,
    AskTimeout,
    ChildSpec,
    Envelope,
    Expired,
    MailboxFull,
    MailboxSpec,
    Outcome,
    Overflow,
)
from runtime.deadletters import DeadReason
from tests.unit.runtime.helpers import Add, Note, running, settle


class Batching(Actor):
    """Writes down the batches it gets and waits for the gate before it answers each message."""

    batch_max: ClassVar[int] = 4

    def __init__(self) -> None:
        self.batches: list[list[object]] = []
        self.kept: list[Envelope] = []
        self.gate = trio.Event()
        self.gate.set()
        self.act: Callable[[Sequence[Envelope]], Any] | None = None

    async def receive_batch(self, batch: Sequence[Envelope]) -> None:
        self.batches.append([envelope.message for envelope in batch])
        await self.gate.wait()
        if self.act is not None:
            await self.act(batch)
            return
        for envelope in batch:
            envelope.reply(len(self.batches))


def spec(actor: Batching, **options: Any) -> ChildSpec:
    """Each incarnation continues with the same `actor`; good enough to watch one life."""
    return ChildSpec("batching", lambda: actor, name="batching", **options)


async def ask_all(
    system: ActorSystem, count: int, *, timeout_s: float | None = None
) -> list[int | Exception]:
    """Ask `count` times at once; the answers or errors in the order of asking."""
    results: list[int | Exception] = [0] * count

    async def ask(index: int) -> None:
        try:
            results[index] = await system.ref("batching").ask(Add(index), timeout_s=timeout_s)
        except Exception as error:
            results[index] = error

    async with trio.open_nursery() as nursery:
        for index in range(count):
            nursery.start_soon(ask, index)
            await trio.lowlevel.checkpoint()
    return results


async def test_what_queued_up_comes_in_batches_in_order() -> None:
    """Clauses A5, M1."""
    actor = Batching()
    actor.gate = trio.Event()
    async with running([spec(actor)]) as system:
        for number in range(10):
            system.ref("batching").tell(Note(str(number)))
        await settle()
        actor.gate.set()
        await settle()
    assert [len(batch) for batch in actor.batches] == [4, 4, 2]
    assert [m for batch in actor.batches for m in batch] == [Note(str(n)) for n in range(10)]


async def test_every_asker_gets_the_answer_of_its_batch() -> None:
    """Clauses A1, A5."""
    actor = Batching()
    async with running([spec(actor)]) as system:
        answers = await ask_all(system, 9)
    assert len(answers) == 9
    assert all(isinstance(answer, int) and answer > 0 for answer in answers)


async def test_batch_leaves_out_what_expired(autojump_clock: MockClock) -> None:
    """Clauses A5, D2."""
    actor = Batching()
    actor.gate = trio.Event()
    async with running([spec(actor)]) as system, trio.open_nursery() as nursery:
        nursery.start_soon(ask_all, system, 1)
        await settle()
        errors = await ask_all(system, 3, timeout_s=1)
        assert [type(error) for error in errors] == [Expired] * 3
        system.ref("batching").tell(Note("casts do not expire"))
        actor.gate.set()
        await settle()
        assert actor.batches == [[Add(0)], [Note("casts do not expire")]]
        assert system.dead_letters.counts[DeadReason.EXPIRED] == 3


async def test_batch_of_which_everything_expired_is_not_delivered(
    autojump_clock: MockClock,
) -> None:
    """Clauses A5, D2."""
    actor = Batching()
    actor.gate = trio.Event()
    async with running([spec(actor)]) as system:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask_all, system, 1)
            await settle()
            await ask_all(system, 6, timeout_s=1)
            actor.gate.set()
        await ask_all(system, 1)
    assert actor.batches == [[Add(0)], [Add(0)]]


async def test_deadline_of_one_asker_does_not_stop_the_batch(autojump_clock: MockClock) -> None:
    """Clause A5."""
    done: list[int] = []
    actor = Batching()

    async def work(batch: Sequence[Envelope]) -> None:
        await trio.sleep(3)
        done.append(len(batch))
        for envelope in batch:
            envelope.reply("late")

    actor.act = work
    async with running([spec(actor)]) as system:
        with pytest.raises(AskTimeout) as caught:
            await system.ref("batching").ask(Add(1), timeout_s=1)
        assert caught.value.outcome is Outcome.UNKNOWN
        await trio.sleep(5)
        assert done == [1]


async def test_cancelled_asker_does_not_stop_the_batch(autojump_clock: MockClock) -> None:
    """Clauses A5, D6."""
    done: list[int] = []
    actor = Batching()

    async def work(batch: Sequence[Envelope]) -> None:
        await trio.sleep(3)
        done.append(len(batch))

    actor.act = work
    async with running([spec(actor)]) as system:
        with trio.move_on_after(1):
            await system.ref("batching").ask(Add(1))
        await trio.sleep(5)
        assert done == [1]


async def test_what_a_batch_leaves_open_is_answered_later() -> None:
    """Clauses A3, A5."""
    actor = Batching()

    async def keep(batch: Sequence[Envelope]) -> None:
        actor.kept += batch

    actor.act = keep
    async with running([spec(actor)]) as system, trio.open_nursery() as nursery:
        answers: list[object] = []

        async def ask() -> None:
            answers.append(await system.ref("batching").ask(Add(1)))

        nursery.start_soon(ask)
        nursery.start_soon(ask)
        await settle()
        assert (answers, len(actor.kept)) == ([], 2)
        for envelope in actor.kept:
            envelope.reply(42)
        await settle()
        assert answers == [42, 42]


async def test_crash_answers_the_batch_the_deferred_and_the_unread() -> None:
    """Clause A4."""
    actor = Batching()

    async def keep(batch: Sequence[Envelope]) -> None:
        actor.kept += batch

    async def boom(batch: Sequence[Envelope]) -> None:
        raise RuntimeError("boom")

    results: dict[str, list[int | Exception]] = {}
    async with running([spec(actor)]) as system:

        async def ask(name: str, count: int) -> None:
            results[name] = await ask_all(system, count)

        async with trio.open_nursery() as nursery:
            actor.act = keep
            nursery.start_soon(ask, "deferred", 2)
            await settle()
            actor.act, actor.gate = boom, trio.Event()
            nursery.start_soon(ask, "batch", 1)
            await settle()
            nursery.start_soon(ask, "unread", 3)
            await settle()
            actor.gate.set()
    outcomes = {
        name: {error.outcome for error in errors if isinstance(error, ActorDown)}
        for name, errors in results.items()
    }
    assert outcomes == {
        "deferred": {Outcome.UNKNOWN},
        "batch": {Outcome.UNKNOWN},
        "unread": {Outcome.NOT_DELIVERED},
    }


async def test_one_message_of_a_batch_may_fail_alone() -> None:
    """Clause A5."""
    actor = Batching()

    async def refuse_odd(batch: Sequence[Envelope]) -> None:
        for envelope in batch:
            amount: int = envelope.message.amount  # type: ignore[attr-defined]
            if amount % 2:
                envelope.fail(LookupError(amount))
            else:
                envelope.reply(amount)

    actor.act = refuse_odd
    async with running([spec(actor)]) as system:
        answers = await ask_all(system, 4)
    assert [answer for answer in answers if isinstance(answer, int)] == [0, 2]
    assert [type(answer) for answer in answers[1::2]] == [LookupError, LookupError]


async def test_batch_makes_room_for_waiting_senders() -> None:
    """Clause M4."""
    actor = Batching()
    actor.gate = trio.Event()
    async with running([spec(actor, mailbox=MailboxSpec(capacity=4))]) as system:
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(system.ref("batching").send, Note(str(number)))
            await settle()
            actor.gate.set()
        await settle()
    assert sum(len(batch) for batch in actor.batches) == 20


async def test_full_mailbox_of_a_batching_actor_rejects() -> None:
    """Clause M5."""
    actor = Batching()
    actor.gate = trio.Event()
    mailbox = MailboxSpec(capacity=2, overflow=Overflow.REJECT)
    async with running([spec(actor, mailbox=mailbox)]) as system:
        ref = system.ref("batching")
        ref.tell(Note("in hand"))
        await settle()
        for text in "12":
            ref.tell(Note(text))
        with pytest.raises(MailboxFull):
            await ref.ask(Add(1))
        actor.gate.set()


async def test_batch_that_asks_its_own_askers_is_a_cycle() -> None:
    """Clause D5."""
    actor = Batching()
    cycles: list[tuple[str, ...]] = []

    async def ask_back(batch: Sequence[Envelope]) -> None:
        try:
            await actor.ref.ask(Add(1))
        except AskCycle as error:
            cycles.append(error.cycle)

    actor.act = ask_back
    async with running([spec(actor)]) as system:
        system.ref("batching").tell(Note("go"))
        await settle()
    assert cycles == [("root/batching", "root/batching")]
