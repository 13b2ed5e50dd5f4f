"""What an asker that goes away leaves behind: nothing in the mailbox, and no work."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest
import trio
from trio.testing import MockClock

from runtime import (
    DEFERRED,
    Actor,
    ActorRef,
    ActorSystem,
    AskTimeout,
    ChildSpec,
    Envelope,
    Expired,
    MailboxSpec,
    Overflow,
    Resume,
    Suspend,
    Workers,
)
from runtime.deadletters import DeadReason
from tests.unit.runtime.helpers import Add, Note, Probe, Run, Wait, end, probe, running, settle

COUNTED_ONCE = Counter({DeadReason.WITHDRAWN: 1})


@asynccontextmanager
async def asked(ref: ActorRef, *messages: Any) -> AsyncIterator[trio.CancelScope]:
    """Askers that wait for answers to `messages`, until the scope given is cancelled."""
    async with trio.open_nursery() as nursery:
        for message in messages:
            nursery.start_soon(ref.ask, message)
            await settle()
        yield nursery.cancel_scope
        nursery.cancel_scope.cancel()


async def give_up(ref: ActorRef, *messages: Any) -> None:
    """Ask, and go away once that is on its way."""
    async with asked(ref, *messages) as scope:
        scope.cancel()
    await settle()


def depth(ref: ActorRef) -> int:
    """Of the mailbox, also while the actor is busy."""
    return len(ref._cell.items)


class Sleeper(Probe):
    """Notes when it begins to sleep and how that ends."""

    async def sleep(self) -> None:
        self.diary.append(f"{self.name} begins")
        try:
            await trio.sleep_forever()
        finally:
            self.diary.append(f"{self.name} ends")


def sleeper(id_: str, diary: list[str], **options: Any) -> ChildSpec:
    return ChildSpec(id_, lambda: Sleeper(diary, id_), name=id_, **options)


# Not started


async def test_unread_message_leaves_the_mailbox_of_a_busy_actor_at_once() -> None:
    """Clauses D2, D6, M8."""
    diary: list[str] = []
    async with running([sleeper("a", diary)]) as system:
        ref = system.ref("a")
        async with asked(ref, Run(Sleeper.sleep)):
            await give_up(ref, Add(1))
            assert depth(ref) == 0
            assert system.dead_letters.counts == COUNTED_ONCE
            assert system.dead_letters.latest[-1].message == Add(1)
        assert await ref.ask(Add(2)) == 2


async def test_message_that_expires_leaves_the_mailbox_at_once(autojump_clock: MockClock) -> None:
    """Clauses D2, M8."""
    async with running([probe("a")]) as system:
        ref = system.ref("a")
        async with asked(ref, Wait(3)):
            with pytest.raises(Expired):
                await ref.ask(Add(1), timeout_s=1)
            assert depth(ref) == 0
            assert system.dead_letters.counts == Counter({DeadReason.EXPIRED: 1})


async def test_those_around_it_keep_their_order() -> None:
    """Clauses D2, M1."""
    diary: list[str] = []
    async with running([sleeper("a", diary)]) as system:
        ref = system.ref("a")
        async with asked(ref, Run(Sleeper.sleep)):
            for number in range(5):
                ref.tell(Note(str(number)))
                await give_up(ref, Add(number))
            diary.clear()
        await settle()
        assert diary == ["a ends", *"01234"]
        assert system.dead_letters.counts[DeadReason.WITHDRAWN] == 5


@pytest.mark.parametrize("overflow", [Overflow.WAIT, Overflow.REJECT])
async def test_its_place_is_free_for_the_next_message(overflow: Overflow) -> None:
    """Clauses D2, M5."""
    mailbox = MailboxSpec(capacity=1, overflow=overflow)
    diary: list[str] = []
    async with running([sleeper("a", diary, mailbox=mailbox)]) as system:
        ref = system.ref("a")
        async with asked(ref, Run(Sleeper.sleep)):
            await give_up(ref, Add(1))
            assert ref.tell(Note("in its place"))


async def test_sender_that_waits_for_room_gets_its_place() -> None:
    """Clauses D2, M4."""
    diary: list[str] = []
    async with running([sleeper("a", diary, mailbox=MailboxSpec(capacity=1))]) as system:
        ref = system.ref("a")
        sent = trio.Event()

        async def send() -> None:
            await ref.send(Note("in its place"))
            sent.set()

        async with asked(ref, Run(Sleeper.sleep)), trio.open_nursery() as nursery:
            async with asked(ref, Add(1)) as scope:
                nursery.start_soon(send)
                await settle()
                assert not sent.is_set()
                scope.cancel()
            await settle()
            assert sent.is_set()


async def test_suspended_actor_never_sees_it() -> None:
    """Clauses D2, L10."""
    async with running([probe("a")]) as system:
        ref = system.ref("a")
        ref.signal(Suspend())
        await give_up(ref, Add(1))
        ref.signal(Resume())
        assert await ref.ask(Add(2)) == 2
        assert system.dead_letters.counts == COUNTED_ONCE


async def test_actor_that_is_starting_again_never_sees_it() -> None:
    """Clauses D2, L1."""
    gate = trio.Event()
    gate.set()

    class Slow(Probe):
        async def started(self) -> None:
            await gate.wait()

    async with running([ChildSpec("a", Slow, name="a")]) as system:
        ref = system.ref("a")
        gate = trio.Event()
        await end(ref)
        await give_up(ref, Add(1))
        assert depth(ref) == 0
        assert system.dead_letters.counts == COUNTED_ONCE
        gate.set()
        assert await ref.ask(Add(2)) == 2


async def test_stashed_message_is_dropped_when_it_comes_back() -> None:
    """Clauses D2, L8."""

    class Stashing(Probe):
        async def receive(self, message: Any) -> object:
            if isinstance(message, Wait):
                return self.stash()
            self.unstash_all()
            return await super().receive(message)

    async with running([ChildSpec("a", Stashing, name="a")]) as system:
        ref = system.ref("a")
        await give_up(ref, Wait())
        assert not system.dead_letters.counts
        assert await ref.ask(Add(1)) == 1
        assert await ref.ask(Add(1)) == 2
        assert system.dead_letters.counts == COUNTED_ONCE


async def test_actor_that_ends_counts_what_was_withdrawn_from_its_stash_as_such() -> None:
    """Clauses A4, M8."""

    class Stashing(Probe):
        async def receive(self, message: Any) -> object:
            return self.stash() if isinstance(message, Wait) else await super().receive(message)

    async with running([ChildSpec("a", Stashing, name="a")]) as system:
        await give_up(system.ref("a"), Wait())
        await end(system.ref("a"))
        assert system.dead_letters.counts == COUNTED_ONCE


# Running


async def test_chain_of_three_is_cancelled_and_all_of_them_go_on() -> None:
    """Clauses D4, D6."""
    diary: list[str] = []

    async def ask_c(actor: Sleeper) -> None:
        await actor.system.ref("c").ask(Run(Sleeper.sleep))

    async def ask_b(actor: Sleeper) -> None:
        await actor.system.ref("b").ask(Run(ask_c))

    async with running([sleeper(name, diary) for name in "abc"]) as system:
        await give_up(system.ref("a"), Run(ask_b))
        assert diary[3:] == ["c begins", "c ends"]
        assert [await system.ref(name).ask(Add(1)) for name in "abc"] == [1, 1, 1]
        assert not system.dead_letters.counts


async def test_what_a_cancelled_handler_had_asked_for_and_nobody_had_read_is_withdrawn() -> None:
    """Clause D6."""
    diary: list[str] = []

    async def ask_b(actor: Sleeper) -> None:
        await actor.system.ref("b").ask(Add(1))

    async with running([sleeper("a", diary), sleeper("b", diary)]) as system:
        async with asked(system.ref("b"), Run(Sleeper.sleep)):
            await give_up(system.ref("a"), Run(ask_b))
            assert system.dead_letters.counts == COUNTED_ONCE
        assert await system.ref("b").ask(Add(1)) == 1


async def test_deadline_of_the_first_asker_cancels_the_chain(autojump_clock: MockClock) -> None:
    """Clauses D3, D4."""
    diary: list[str] = []

    async def ask_b(actor: Sleeper) -> None:
        await actor.system.ref("b").ask(Run(Sleeper.sleep), timeout_s=60)

    async with running([sleeper("a", diary), sleeper("b", diary)]) as system:
        with pytest.raises(AskTimeout):
            await system.ref("a").ask(Run(ask_b), timeout_s=1)
        await settle()
        assert diary[2:] == ["b begins", "b ends"]
        assert trio.current_time() == pytest.approx(1, abs=0.01)


async def test_what_the_handler_told_and_its_child_tasks_go_on() -> None:
    """Clauses D6, L5."""
    diary: list[str] = []

    async def work(actor: Sleeper) -> None:
        actor.system.ref("b").tell(Note("told"))
        actor.start_task(finish)
        await actor.sleep()

    async def finish() -> None:
        await settle(50)
        diary.append("finished")

    async with running([sleeper("a", diary), sleeper("b", diary)]) as system:
        await give_up(system.ref("a"), Run(work))
        await settle(50)
        assert sorted(diary[2:]) == ["a begins", "a ends", "finished", "told"]


async def test_handler_that_has_answered_already_is_left_alone() -> None:
    """Clauses A1, D6."""
    diary: list[str] = []
    gate = trio.Event()

    async def work(actor: Probe) -> None:
        actor.envelope.reply("early")
        await gate.wait()
        diary.append("done")

    async with running([probe("a", diary)]) as system:
        async with trio.open_nursery() as nursery:
            assert await system.ref("a").ask(Run(work)) == "early"
            nursery.cancel_scope.cancel()
        gate.set()
        await settle()
        assert diary[1:] == ["done"]


async def test_deferred_answer_is_still_worked_on_and_told_to_nobody() -> None:
    """Clauses A3, D6."""
    diary: list[str] = []
    gate = trio.Event()

    async def defer(actor: Probe) -> object:
        envelope = actor.envelope

        async def answer() -> None:
            await gate.wait()
            envelope.reply("late")
            diary.append("answered")

        actor.start_task(answer)
        return DEFERRED

    async with running([probe("a", diary)]) as system:
        await give_up(system.ref("a"), Run(defer))
        gate.set()
        await settle()
        assert diary[1:] == ["answered"]
        assert await system.ref("a").ask(Add(1)) == 1


async def test_deferred_work_in_a_scope_of_its_own_is_cancelled() -> None:
    """Clause D6: `Envelope.scope` says which."""
    diary: list[str] = []

    async def defer(actor: Sleeper) -> object:
        envelope = actor.envelope

        async def answer() -> None:
            with trio.CancelScope() as envelope.scope:
                await actor.sleep()

        actor.start_task(answer)
        return DEFERRED

    async with running([sleeper("a", diary)]) as system:
        await give_up(system.ref("a"), Run(defer))
        assert diary[1:] == ["a begins", "a ends"]


async def test_uncancellable_actor_finishes_what_it_began() -> None:
    """Clause D3."""
    diary: list[str] = []
    gate = trio.Event()

    class Thorough(Probe):
        cancellable: ClassVar[bool] = False

    async def work(actor: Probe) -> None:
        await gate.wait()
        diary.append("done")

    async with running([ChildSpec("a", lambda: Thorough(diary, "a"), name="a")]) as system:
        await give_up(system.ref("a"), Run(work))
        gate.set()
        await settle()
        assert diary[1:] == ["done"]


async def test_error_passed_on_by_a_handler_that_is_being_cancelled_disturbs_nobody() -> None:
    """Clauses L2, D6."""

    class Passing(Probe):
        passes_on: ClassVar[tuple[type[Exception], ...]] = (OSError,)

    async def work(actor: Probe) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise OSError("while it was being cancelled")

    async with running([ChildSpec("a", Passing, name="a")]) as system:
        await give_up(system.ref("a"), Run(work))
        assert await system.ref("a").ask(Add(1)) == 1


async def test_actor_that_crashes_while_it_is_being_cancelled_is_restarted() -> None:
    """Clauses L2, S3."""

    async def work(actor: Probe) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise OSError("while it was being cancelled")

    diary: list[str] = []
    async with running([probe("a", diary)]) as system:
        await give_up(system.ref("a"), Run(work))
        assert diary == ["start a", "stop a crashed", "start a"]
        assert await system.ref("a").ask(Add(1)) == 1


async def test_handler_that_ends_without_noticing_leaves_the_next_message_alone() -> None:
    """Clause D6: the cancellation meant this message only."""
    diary: list[str] = []
    async with running([probe("a", diary)]) as system:
        ref = system.ref("a")
        scope = trio.CancelScope()

        async def work(actor: Probe) -> int:
            scope.cancel()
            with trio.CancelScope(shield=True):
                await settle()
            return 1

        with scope:
            await ref.ask(Run(work))
        async with asked(ref, Wait()):
            await settle()
            assert ref._cell.in_hand is not None


# Batches


class Batching(Actor):
    """Notes the batches it begins and ends; waits for the gate in between."""

    batch_max: ClassVar[int] = 4

    def __init__(self, diary: list[str], gate: trio.Event) -> None:
        self.diary = diary
        self.gate = gate

    async def receive_batch(self, batch: Sequence[Envelope]) -> None:
        self.diary.append(f"begin {len(batch)}")
        await self.gate.wait()
        for envelope in batch:
            envelope.reply(len(batch))
        self.diary.append(f"end {len(batch)}")


class Giving(Batching):
    """Gives up what nobody waits for."""

    batch_cancellable: ClassVar[bool] = True


class Committed(Giving):
    """Has a point of no return before the gate."""

    async def receive_batch(self, batch: Sequence[Envelope]) -> None:
        self.finish_batch()
        await super().receive_batch(batch)


class Answering(Giving):
    """Answers the first of each batch before the gate."""

    async def receive_batch(self, batch: Sequence[Envelope]) -> None:
        batch[0].reply("early")
        await super().receive_batch(batch)


@asynccontextmanager
async def batching(
    kind: type[Batching], diary: list[str]
) -> AsyncIterator[tuple[ActorSystem, trio.Event]]:
    gate = trio.Event()
    async with running([ChildSpec("a", lambda: kind(diary, gate), name="a")]) as system:
        system.ref("a").signal(Suspend())
        yield system, gate
        gate.set()


async def begin(ref: ActorRef) -> None:
    """Let the actor take up all that it was sent, as one batch."""
    ref.signal(Resume())
    await settle()


@pytest.mark.parametrize("kind", [Batching, Committed])
async def test_batch_is_finished_though_nobody_waits(kind: type[Batching]) -> None:
    """Clause A5."""
    diary: list[str] = []
    async with batching(kind, diary) as (system, gate):
        async with asked(system.ref("a"), Add(1), Add(2)) as scope:
            await begin(system.ref("a"))
            scope.cancel()
        await settle()
        assert diary == ["begin 2"]
        gate.set()
        await settle()
        assert diary == ["begin 2", "end 2"]


@pytest.mark.parametrize("kind", [Giving, Answering])
async def test_batch_that_nobody_waits_for_is_given_up_where_its_actor_says_so(
    kind: type[Batching],
) -> None:
    """Clause A5: who got an answer waits no more."""
    diary: list[str] = []
    async with batching(kind, diary) as (system, gate):
        async with asked(system.ref("a"), Add(1), Add(2)) as scope:
            await begin(system.ref("a"))
            scope.cancel()
        await settle()
        gate.set()
        assert await system.ref("a").ask(Add(3)) in (1, "early")
        await settle()
        assert diary == ["begin 2", "begin 1", "end 1"]


async def test_batch_that_everybody_lost_patience_with_is_given_up(
    autojump_clock: MockClock,
) -> None:
    """Clauses A5, D3."""
    diary: list[str] = []
    async with batching(Giving, diary) as (system, gate):
        await begin(system.ref("a"))
        with pytest.raises(AskTimeout):
            await system.ref("a").ask(Add(1), timeout_s=1)
        await settle()
        gate.set()
        assert await system.ref("a").ask(Add(2)) == 1
        assert diary == ["begin 1", "begin 1", "end 1"]


async def test_batch_goes_on_as_long_as_one_asker_waits() -> None:
    """Clause A5."""
    diary: list[str] = []
    async with batching(Giving, diary) as (system, gate), trio.open_nursery() as nursery:
        ref = system.ref("a")
        answers: list[int] = []

        async def wait() -> None:
            answers.append(await ref.ask(Add(1)))

        nursery.start_soon(wait)
        async with asked(ref, Add(2), Add(3)) as scope:
            await begin(ref)
            scope.cancel()
        gate.set()
        await settle()
        assert (answers, diary) == ([3], ["begin 3", "end 3"])


async def test_batch_with_a_cast_in_it_is_finished() -> None:
    """Clause A5: whoever told it counts on it."""
    diary: list[str] = []
    async with batching(Giving, diary) as (system, gate):
        ref = system.ref("a")
        ref.tell(Note("matters"))
        async with asked(ref, Add(1)) as scope:
            await begin(ref)
            scope.cancel()
        gate.set()
        await settle()
        assert diary == ["begin 2", "end 2"]


async def test_batch_after_one_that_was_given_up_unnoticed_is_not_cancelled() -> None:
    """Clause A5: a batch may end without a checkpoint after its cancellation."""
    diary: list[str] = []

    class Deaf(Giving):
        async def receive_batch(self, batch: Sequence[Envelope]) -> None:
            with trio.CancelScope(shield=True):
                await self.gate.wait()
            self.diary.append(f"end {len(batch)}")
            for envelope in batch:
                envelope.reply("heard")

    async with batching(Deaf, diary) as (system, gate):
        ref = system.ref("a")
        async with asked(ref, Add(1)) as scope:
            await begin(ref)
            scope.cancel()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.ask, Add(2))
            await settle()
            gate.set()
        assert diary == ["end 1", "end 1"]


# Workers


class Pool(Workers):
    concurrency: ClassVar[int] = 1

    def __init__(self, diary: list[str]) -> None:
        super().__init__()
        self.diary = diary

    async def receive(self, message: Any) -> None:
        self.diary.append(type(message).__name__)
        await trio.sleep_forever()


async def test_message_withdrawn_between_the_start_of_its_task_and_its_first_step() -> None:
    """Clause W2: whatever the moment of the cancellation, no work is left running."""
    for delay in range(8):
        diary: list[str] = []
        async with running([ChildSpec("pool", lambda d=diary: Pool(d), name="pool")]) as system:
            await _cancelled_after(delay, system.ref("pool"))
            await settle()
            pool = system.ref("pool")
            async with asked(pool, Add(1)):
                assert diary[-1:] == ["Add"], f"stuck after {delay} checkpoints"


async def _cancelled_after(checkpoints: int, ref: ActorRef) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ref.ask, Wait())
        await settle(checkpoints)
        nursery.cancel_scope.cancel()


# Races: cancelling at every moment of an exchange


async def _plain(actor: Probe) -> None:
    await trio.lowlevel.checkpoint()


async def _early(actor: Probe) -> None:
    actor.envelope.reply("early")
    await trio.lowlevel.checkpoint()


async def _nested(actor: Probe) -> object:
    return await actor.system.ref("b").ask(Add(1))


async def _crashing(actor: Probe) -> None:
    await trio.lowlevel.checkpoint()
    raise RuntimeError("boom")


@pytest.mark.parametrize("work", [_plain, _early, _nested, _crashing])
@pytest.mark.parametrize("checkpoints", range(10))
async def test_cancelled_at_any_moment_an_ask_leaves_both_sides_sound(
    work: Callable[[Probe], Any], checkpoints: int
) -> None:
    """Clauses A1, D6."""

    async def ask() -> None:
        try:
            await system.ref("a").ask(Run(work))
        except Exception:
            assert work is _crashing

    async with running([probe("a"), probe("b")]) as system:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await settle(checkpoints)
            nursery.cancel_scope.cancel()
        await settle()
        assert [await system.ref(name).ask(Wait(0)) for name in "ab"] == ["waited"] * 2
        assert sum(len(bucket) for bucket in system.deadlines.buckets.values()) == 0
        assert depth(system.ref("a")) == depth(system.ref("b")) == 0
