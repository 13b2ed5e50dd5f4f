"""Sending: tell, send, ask, their errors and their order."""

import gc
from typing import Any
from weakref import ref

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from runtime import (
    DEFERRED,
    Actor,
    ActorDown,
    ActorRef,
    AskCycle,
    AskTimeout,
    Call,
    ChildSpec,
    Expired,
    MailboxFull,
    MailboxSpec,
    Outcome,
    Overflow,
    Restart,
    StartChild,
    ask_all,
    request_context,
)
from runtime.context import current
from runtime.deadletters import DeadReason
from tests.unit.runtime.helpers import Add, Crash, Note, Run, Wait, probe, running, settle


async def test_ask_gives_the_answer() -> None:
    async with running([probe()]) as system:
        assert await system.ref("probe").ask(Add(2)) == 2
        assert await system.ref("probe").ask(Add(3)) == 5


@attrs.frozen
class GiveError(Call[Exception]):
    """Answered with an error, whose traceback reaches back to the message and its envelope."""


class Erring(Actor):
    async def receive(self, message: Any) -> object:
        envelope = self.envelope
        try:
            raise LookupError("nothing there")
        except LookupError as error:
            envelope.reply(error)
        return DEFERRED


@pytest.mark.parametrize("asks", [1, 3])
async def test_an_answer_that_reaches_back_to_its_message_keeps_nothing_alive(asks: int) -> None:
    """The collector does not see envelopes, so that a circle through one would stay for ever."""
    messages = [GiveError() for _ in range(asks)]
    there = [ref(message) for message in messages]
    async with running([ChildSpec("erring", Erring, name="erring")]) as system:
        receiver = system.ref("erring")
        if asks == 1:
            answers = [await receiver.ask(messages[0])]
        else:
            answers = await ask_all((receiver, message) for message in messages)
        assert [type(answer) for answer in answers] == [LookupError] * asks
        del answers, messages
    gc.collect()
    assert [message() for message in there] == [None] * asks


async def test_messages_of_one_sender_arrive_in_order() -> None:
    """Clause M1."""
    diary: list[str] = []
    async with running([probe(diary=diary)]) as system:
        ref = system.ref("probe")
        for number in range(500):
            assert ref.tell(Note(str(number)))
        await ref.ask(Add(0))
    assert diary[1:-1] == [str(number) for number in range(500)]


async def test_tell_to_nobody_is_a_dead_letter() -> None:
    """Clause M6."""
    async with running([]) as system:
        assert not system.ref("nobody").tell(Note("hello"))
        assert system.dead_letters.counts[DeadReason.NOT_RUNNING] == 1
        assert system.dead_letters.latest[-1].message == Note("hello")


async def test_ask_of_nobody_fails_at_once_and_gives_the_message_back() -> None:
    async with running([]) as system:
        with pytest.raises(ActorDown) as caught:
            await system.ref("nobody").ask(Add(1))
        assert caught.value.outcome is Outcome.NOT_DELIVERED
        assert caught.value.message == Add(1)


async def test_reference_made_before_its_actor_reaches_it_later() -> None:
    async with running([]) as system:
        ref = system.ref("probe")
        await system.ref("root").ask(StartChild(probe()))
        assert await ref.ask(Add(1)) == 1


async def test_full_mailbox_rejects_asks_and_drops_tells() -> None:
    """Clause M5."""
    spec = MailboxSpec(capacity=2, overflow=Overflow.REJECT)
    async with running([probe(mailbox=spec)]) as system, trio.open_nursery() as nursery:
        ref = system.ref("probe")
        nursery.start_soon(ref.ask, Wait(60))
        await settle()
        assert ref.tell(Note("1"))
        assert ref.tell(Note("2"))
        assert not ref.tell(Note("3"))
        with pytest.raises(MailboxFull) as caught:
            await ref.ask(Add(1))
        assert caught.value.outcome is Outcome.NOT_DELIVERED
        with pytest.raises(MailboxFull):
            await ref.send(Note("4"))
        assert system.dead_letters.counts[DeadReason.MAILBOX_FULL] == 1
        nursery.cancel_scope.cancel()


async def test_full_mailbox_lets_senders_wait_for_room() -> None:
    """Clause M5."""
    diary: list[str] = []
    gate = trio.Event()
    async with running([probe(diary=diary, mailbox=MailboxSpec(capacity=1))]) as system:
        ref = system.ref("probe")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.ask, Run(lambda _: gate.wait()))
            await settle()
            for number in range(5):
                nursery.start_soon(ref.send, Note(str(number)))
            await settle()
            assert diary == ["start probe"]
            gate.set()
        await ref.ask(Add(0))
    assert sorted(diary[1:-1]) == ["0", "1", "2", "3", "4"]


async def test_drop_oldest_makes_room() -> None:
    diary: list[str] = []
    gate = trio.Event()
    spec = MailboxSpec(capacity=2, overflow=Overflow.DROP_OLDEST)
    async with running([probe(diary=diary, mailbox=spec)]) as system:
        ref = system.ref("probe")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.ask, Run(lambda _: gate.wait()))
            await settle()
            told = [ref.tell(Note(str(number))) for number in range(4)]
            assert told == [True] * 4
            gate.set()
        await ref.ask(Add(0))
        assert diary[1:] == ["2", "3"]
        assert system.dead_letters.counts[DeadReason.DROPPED_OLDEST] == 2


async def test_coalesce_keeps_the_last_of_a_key() -> None:
    diary: list[str] = []
    gate = trio.Event()
    spec = MailboxSpec(
        capacity=4, overflow=Overflow.COALESCE, coalesce_key=lambda message: str(message)[:12]
    )
    async with running([probe(diary=diary, mailbox=spec)]) as system:
        ref = system.ref("probe")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.ask, Run(lambda _: gate.wait()))
            await settle()
            for text in ("a1", "b1", "a2", "a3"):
                assert ref.tell(Note(text))
            gate.set()
        await ref.ask(Add(0))
        assert diary[1:] == ["b1", "a3"]
        assert system.dead_letters.counts[DeadReason.COALESCED] == 2


async def test_crash_answers_the_asker_and_all_who_wait() -> None:
    """Clause A4: the one in hand may have happened, the unread ones did not."""
    outcomes: dict[str, Outcome] = {}
    gate = trio.Event()

    async def crash_later(_: Any) -> None:
        await gate.wait()
        raise RuntimeError("boom")

    async with running([probe()]) as system:
        ref = system.ref("probe")

        async def ask(name: str, message: Any) -> None:
            with pytest.raises(ActorDown) as caught:
                await ref.ask(message)
            outcomes[name] = caught.value.outcome

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, "in hand", Run(crash_later))
            await settle()
            nursery.start_soon(ask, "unread", Add(1))
            ref.tell(Note("unread cast"))
            await settle()
            gate.set()
        assert outcomes == {"in hand": Outcome.UNKNOWN, "unread": Outcome.NOT_DELIVERED}
        assert system.dead_letters.counts[DeadReason.UNREAD_AT_EXIT] == 1
        assert await ref.ask(Add(1)) == 1


async def test_ask_times_out_after_five_seconds_by_default(autojump_clock: MockClock) -> None:
    """Clause D1."""
    async with running([probe()]) as system:
        start = trio.current_time()
        with pytest.raises(AskTimeout) as caught:
            await system.ref("probe").ask(Wait())
        assert caught.value.outcome is Outcome.UNKNOWN
        assert 5.0 <= trio.current_time() - start < 5.01


async def test_deadline_cancels_the_handler(autojump_clock: MockClock) -> None:
    """Clause D3."""
    ended: list[float] = []

    async def work(_: Any) -> None:
        try:
            await trio.sleep(60)
        finally:
            ended.append(trio.current_time())

    async with running([probe()]) as system:
        start = trio.current_time()
        with pytest.raises(AskTimeout):
            await system.ref("probe").ask(Run(work), timeout_s=1)
        assert await system.ref("probe").ask(Add(1)) == 1
        assert ended[0] - start == pytest.approx(1, abs=0.01)


async def test_expired_message_is_never_started(autojump_clock: MockClock) -> None:
    """Clause D2."""
    diary: list[str] = []
    async with running([probe(diary=diary)]) as system, trio.open_nursery() as nursery:
        ref = system.ref("probe")
        nursery.start_soon(ref.ask, Wait(3))
        await settle()
        with pytest.raises(Expired) as caught:
            await ref.ask(Add(1), timeout_s=1)
        assert caught.value.outcome is Outcome.NOT_DELIVERED
        await trio.sleep(5)
        assert await ref.ask(Add(1)) == 1
        assert system.dead_letters.counts[DeadReason.EXPIRED] == 1


async def test_waiting_for_room_ends_at_the_deadline(autojump_clock: MockClock) -> None:
    async with running([probe(mailbox=MailboxSpec(capacity=1))]) as system:
        ref = system.ref("probe")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.ask, Wait(4))
            await settle()
            ref.tell(Note("fills the mailbox"))
            with pytest.raises(Expired):
                await ref.ask(Add(1), timeout_s=1)


async def test_nested_asks_inherit_what_is_left(autojump_clock: MockClock) -> None:
    """Clause D4."""
    seen: list[float] = []

    async with running([probe("a"), probe("b")]) as system:

        async def look(_: Any) -> None:
            ambient = current.get()
            assert ambient is not None
            seen.append(ambient.deadline)

        async def relay(_: Any) -> None:
            await trio.sleep(1)
            await system.ref("b").ask(Run(look))

        deadline = trio.current_time() + 3
        with request_context(deadline=deadline, trace_id="t1"):
            await system.ref("a").ask(Run(relay))
        assert seen == [deadline]


async def test_trace_reaches_everything_a_request_causes() -> None:
    traces: list[str | None] = []

    async with running([probe("a"), probe("b")]) as system:

        async def look(_: Any) -> None:
            ambient = current.get()
            traces.append(ambient.trace_id if ambient is not None else None)

        async def relay(_: Any) -> None:
            await system.ref("b").ask(Run(look))

        with request_context(trace_id="abc"):
            await system.ref("a").ask(Run(relay))
        await system.ref("b").ask(Run(look))
    assert traces == ["abc", None]


async def test_ask_cycle_fails_at_once_and_names_the_cycle() -> None:
    """Clause D5."""
    async with running([probe("a"), probe("b")]) as system:

        async def back(_: Any) -> Any:
            return await system.ref("a").ask(Add(1))

        async def there(_: Any) -> Any:
            try:
                return await system.ref("b").ask(Run(back))
            except ActorDown:
                return "b died of it"

        async def catch(_: Any) -> Any:
            try:
                return await system.ref("a").ask(Add(1))
            except AskCycle as error:
                return error.cycle

        async def start(_: Any) -> Any:
            return await system.ref("b").ask(Run(catch))

        cycle = await system.ref("a").ask(Run(start))
        assert cycle == ("root/a", "root/b", "root/a")
        assert await system.ref("a").ask(Run(there)) == "b died of it"


async def test_actor_that_asks_itself_is_a_cycle() -> None:
    async def self_ask(actor: Any) -> Any:
        try:
            return await actor.ref.ask(Add(1))
        except AskCycle as error:
            return len(error.cycle)

    async with running([probe()]) as system:
        assert await system.ref("probe").ask(Run(self_ask)) == 2


async def test_cancelled_ask_withdraws_the_unread_message() -> None:
    """Clause D6."""
    async with running([probe()]) as system, trio.open_nursery() as nursery:
        ref = system.ref("probe")
        gate = trio.Event()
        nursery.start_soon(ref.ask, Run(lambda _: gate.wait()))
        await settle()
        with trio.move_on_after(0):
            await ref.ask(Add(1))
        gate.set()
        assert await ref.ask(Add(1)) == 1


async def test_cancelled_ask_cancels_the_work() -> None:
    """Clause D6."""
    cancelled = trio.Event()

    async def work(_: Any) -> None:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async with running([probe()]) as system:
        ref = system.ref("probe")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.ask, Run(work))
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        await cancelled.wait()
        assert await ref.ask(Add(1)) == 1


async def test_cancelled_send_delivers_nothing() -> None:
    diary: list[str] = []
    async with running([probe(diary=diary)]) as system:
        with trio.CancelScope() as scope:
            scope.cancel()
            await system.ref("probe").send(Note("never"))
        await system.ref("probe").ask(Add(0))
    assert "never" not in diary


async def test_busy_actor_lets_others_run() -> None:
    """Clause A6: a full mailbox of quick messages does not starve other tasks."""
    turns = 0
    done = trio.Event()

    async def count() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            await trio.lowlevel.checkpoint()

    async with running([probe(mailbox=MailboxSpec(capacity=100_000))]) as system:
        ref = system.ref("probe")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            for _ in range(50_000):
                ref.tell(Add(1))
            assert await ref.ask(Add(0)) == 50_000
            done.set()
    assert turns > 10


async def test_crash_of_one_is_not_seen_by_another() -> None:
    async with running([probe("a"), probe("b")]) as system:
        await system.ref("b").ask(Add(1))
        with pytest.raises(ActorDown):
            await system.ref("a").ask(Crash())
        assert await system.ref("b").ask(Add(1)) == 2


async def test_tell_is_true_when_accepted_and_never_raises() -> None:
    """Clause M3."""
    async with running([probe(mailbox=MailboxSpec(capacity=1))]) as system:
        ref = system.ref("probe")
        told = [ref.tell(Note(str(number))) for number in range(3)]
        assert told == [True, False, False]
        assert system.dead_letters.counts[DeadReason.MAILBOX_FULL] == 2


async def test_send_to_nobody_fails_at_once() -> None:
    """Clause M6."""
    async with running([]) as system:
        with pytest.raises(ActorDown) as caught:
            await system.ref("nobody").send(Note("hello"))
        assert caught.value.message == Note("hello")


async def test_senders_that_wait_for_room_learn_of_the_end() -> None:
    """Clause A4."""
    gate = trio.Event()
    spec = probe(mailbox=MailboxSpec(capacity=1), restart=Restart.TEMPORARY)

    async def crash_later(_: Any) -> None:
        await gate.wait()
        raise RuntimeError("boom")

    async with running([spec]) as system, trio.open_nursery() as nursery:
        ref = system.ref("probe")
        ref.tell(Run(crash_later))
        await settle()
        ref.tell(Note("fills the mailbox"))
        outcomes: list[Outcome] = []

        async def send(call: Any, message: Any) -> None:
            with pytest.raises(ActorDown) as caught:
                await call(message)
            outcomes.append(caught.value.outcome)

        nursery.start_soon(send, ref.send, Note("1"))
        nursery.start_soon(send, ref.ask, Add(1))
        await settle()
        gate.set()
        await settle()
        assert outcomes == [Outcome.NOT_DELIVERED] * 2


async def test_room_that_a_cancelled_handler_leaves_is_offered(autojump_clock: MockClock) -> None:
    """Clauses D3, M4: nobody waits in front of an empty mailbox."""
    diary: list[str] = []
    async with running([probe(diary=diary, mailbox=MailboxSpec(capacity=1))]) as system:
        ref = system.ref("probe")
        async with trio.open_nursery() as nursery:
            for timeout_s in (1, 2):
                nursery.start_soon(_time_out, ref, timeout_s)
                await settle()
            await ref.send(Note("waited for room"))
            assert trio.current_time() == pytest.approx(1, abs=0.01)
        await ref.ask(Add(0))
        assert diary[1:] == ["waited for room"]


async def test_room_is_offered_as_soon_as_a_message_is_taken_up(autojump_clock: MockClock) -> None:
    """Clause M4: not only when the actor has worked through what it had."""
    async with running([probe(mailbox=MailboxSpec(capacity=2))]) as system:
        ref = system.ref("probe")
        for _ in range(2):
            ref.tell(Wait(10))
        with request_context(deadline=trio.current_time() + 15):
            for text in "12":
                await ref.send(Note(text))
        assert trio.current_time() == pytest.approx(10)


async def _time_out(ref: ActorRef, timeout_s: float) -> None:
    with pytest.raises(AskTimeout):
        await ref.ask(Wait(60), timeout_s=timeout_s)


async def test_ask_ends_late_by_a_tick_but_never_early(autojump_clock: MockClock) -> None:
    """Clause D1."""
    async with running([probe()]) as system:
        system.ref("probe").tell(Wait(1000))
        for number in range(1, 40):
            timeout_s = number * 0.00171
            start = trio.current_time()
            with pytest.raises(Expired):
                await system.ref("probe").ask(Add(1), timeout_s=timeout_s)
            assert timeout_s <= trio.current_time() - start <= timeout_s + 0.0051


async def test_longer_timeout_does_not_lengthen_the_deadline(autojump_clock: MockClock) -> None:
    """Clause D4."""
    async with running([probe()]) as system:
        with request_context(deadline=trio.current_time() + 1), pytest.raises(AskTimeout):
            await system.ref("probe").ask(Wait(60), timeout_s=50)
        assert trio.current_time() == pytest.approx(1, abs=0.01)


async def test_chain_out_of_time_ends_at_its_first_asker(autojump_clock: MockClock) -> None:
    """Clause D4: those in the middle are cancelled and do not crash."""
    names = [f"n{number}" for number in range(6)]
    async with running([probe(name) for name in names]) as system:

        async def relay(actor: Any) -> Any:
            position = names.index(actor.name) + 1
            if position == len(names):
                return await trio.sleep(60)
            return await system.ref(names[position]).ask(Run(relay))

        for _ in range(5):
            with pytest.raises(AskTimeout, match="n0"):
                await system.ref("n0").ask(Run(relay), timeout_s=1)
        for name in names:
            assert await system.ref(name).ask(Add(1)) == 1
            assert (await system.ref(name).inspect()).incarnation == 1


async def test_every_ask_is_answered_once(autojump_clock: MockClock) -> None:
    """Clause A1: a second answer has no effect."""

    async def answer_twice(actor: Any) -> Any:
        actor.envelope.reply("first")
        actor.envelope.fail(RuntimeError("second"))
        return "third"

    async with running([probe()]) as system:
        assert await system.ref("probe").ask(Run(answer_twice)) == "first"
        assert await system.ref("probe").ask(Add(1)) == 1


async def test_error_that_the_actor_answers_with_reaches_the_asker() -> None:
    """Clause A1."""

    async def refuse(actor: Any) -> None:
        actor.envelope.fail(LookupError("unknown"))

    async with running([probe()]) as system:
        with pytest.raises(LookupError, match="unknown"):
            await system.ref("probe").ask(Run(refuse))
        assert await system.ref("probe").ask(Add(1)) == 1


async def test_discarded_ask_was_not_delivered() -> None:
    """Clauses M5, M8."""
    gate = trio.Event()
    spec = MailboxSpec(capacity=1, overflow=Overflow.DROP_OLDEST)
    async with running([probe(mailbox=spec)]) as system, trio.open_nursery() as nursery:
        ref = system.ref("probe")
        ref.tell(Run(lambda _: gate.wait()))
        await settle()

        async def ask() -> None:
            with pytest.raises(ActorDown, match="dropped") as caught:
                await ref.ask(Add(1))
            assert caught.value.outcome is Outcome.NOT_DELIVERED

        nursery.start_soon(ask)
        await settle()
        ref.tell(Note("newer"))
        gate.set()
        await settle()
        assert system.dead_letters.counts == {DeadReason.DROPPED_OLDEST: 1}


async def test_dead_letters_keep_the_last_256_and_count_all() -> None:
    """Clause M8."""
    async with running([]) as system:
        for number in range(300):
            system.ref("nobody").tell(Note(str(number)))
        letters = system.dead_letters
        assert (letters.counts[DeadReason.NOT_RUNNING], len(letters.latest)) == (300, 256)
        assert letters.latest[0].message == Note("44")
        metric = system.metrics.registry.get_sample_value(
            "loyalnest_dead_letters_total", {"reason": "not_running"}
        )
        assert metric == 300


async def test_notice_is_read_without_asking_and_ends_with_the_incarnation() -> None:
    """Clause M9."""

    async def post(actor: Any) -> None:
        actor.post("open")
        actor.post("closed")

    async with running([probe()]) as system:
        ref = system.ref("probe")
        seen = [ref.notice]
        await ref.ask(Run(post))
        seen.append(ref.notice)
        ref.tell(Crash())
        await settle()
        assert ref.alive
        seen.append(ref.notice)
        assert seen == [None, "closed", None]
        assert system.ref("nobody").notice is None


async def test_message_is_read_at_most_once_across_a_restart() -> None:
    """Clause M2: what was unread when the actor crashed does not come back."""
    diary: list[str] = []
    async with running([probe(diary=diary)]) as system:
        ref = system.ref("probe")
        ref.tell(Note("before"))
        ref.tell(Crash())
        ref.tell(Note("behind"))
        await settle()
        await ref.ask(Add(0))
        assert diary == ["start probe", "before", "stop probe crashed", "start probe"]
        assert system.dead_letters.latest[-1].message == Note("behind")


async def test_mailbox_statistics_tell_depth_and_waiting_senders() -> None:
    """Clause M5."""
    gate = trio.Event()
    async with running([probe(mailbox=MailboxSpec(capacity=1))]) as system:
        ref = system.ref("probe")
        async with trio.open_nursery() as nursery:
            ref.tell(Run(lambda _: gate.wait()))
            await settle()
            for text in "123":
                nursery.start_soon(ref.send, Note(text))
            await settle()
            statistics = ref._cell.statistics()
            assert (statistics.depth, statistics.capacity) == (1, 1)
            assert statistics.waiting_senders == 2
            gate.set()
