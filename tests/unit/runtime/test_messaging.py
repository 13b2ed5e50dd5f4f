"""Sending: tell, send, ask, their errors and their order."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from runtime import (
    ActorDown,
    AskCycle,
    AskTimeout,
    Expired,
    MailboxFull,
    MailboxSpec,
    Outcome,
    Overflow,
    StartChild,
    request_context,
)
from runtime.context import current
from runtime.deadletters import DeadReason
from tests.unit.runtime.helpers import Add, Crash, Note, Run, Wait, probe, running, settle


async def test_ask_gives_the_answer() -> None:
    async with running([probe()]) as system:
        assert await system.ref("probe").ask(Add(2)) == 2
        assert await system.ref("probe").ask(Add(3)) == 5


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
            assert all([ref.tell(Note(str(number))) for number in range(4)])
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
