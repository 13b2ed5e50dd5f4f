"""One actor's life: start, end, become, stash, watch, child tasks, timers, suspension."""

from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import pytest
import trio
from trio.testing import MockClock

from runtime import (
    DEFERRED,
    Actor,
    ActorDown,
    ActorRef,
    AskCycle,
    AskTimeout,
    Cast,
    ChildSpec,
    Down,
    Envelope,
    ExitReason,
    Expired,
    MailboxSpec,
    Outcome,
    Overflow,
    Restart,
    Resume,
    StartChild,
    Stop,
    Suspend,
    request_context,
)
from runtime.context import current
from runtime.deadletters import DeadReason
from runtime.exits import NORMAL, SHUTDOWN
from runtime.system_messages import SystemMessage
from tests.unit.runtime.helpers import (
    Add,
    Crash,
    Note,
    Probe,
    Quit,
    Run,
    Wait,
    children,
    crash,
    end,
    kill,
    probe,
    running,
    settle,
)


def temporary(make: Callable[[], Actor], id_: str = "probe", **options: Any) -> ChildSpec:
    return ChildSpec(id_, make, name=id_, restart=Restart.TEMPORARY, **options)


async def occupy(ref: ActorRef, gate: trio.Event, nursery: trio.Nursery) -> None:
    """Keep the actor at `ref` busy until `gate` opens."""
    nursery.start_soon(ref.ask, Run(lambda _: gate.wait()))
    await settle()


# Start and end


async def test_messages_wait_for_the_end_of_the_start(autojump_clock: MockClock) -> None:
    """Clause L1."""
    diary: list[str] = []

    class Slow(Probe):
        async def started(self) -> None:
            await trio.sleep(1)
            await super().started()

    async with running([temporary(lambda: Probe(diary, "parent"))]) as system:
        async with trio.open_nursery() as nursery:
            start = StartChild(temporary(lambda: Slow(diary, "slow"), "slow"))
            nursery.start_soon(system.ref("root").ask, start)
            await settle()
            assert system.ref("slow").tell(Note("early"))
            assert "early" not in diary
        await system.ref("slow").ask(Add(0))
        assert diary[1:3] == ["start slow", "early"]


async def test_stopped_is_called_after_the_last_message_with_the_reason() -> None:
    """Clauses L2, L3."""
    diary: list[str] = []
    async with running([temporary(lambda: Probe(diary, "a"))]) as system:
        ref = system.ref("probe")
        ref.tell(Note("1"))
        ref.tell(Quit())
        ref.tell(Note("never"))
        await settle()
        assert diary == ["start a", "1", "stop a normal"]
        assert system.dead_letters.counts[DeadReason.UNREAD_AT_EXIT] == 1


@pytest.mark.parametrize(
    ("message", "line"),
    [(Crash(), "stop a crashed"), (Run(kill), None), (Quit(), "stop a normal")],
    ids=["crash", "kill", "stop"],
)
async def test_stopped_is_called_except_when_killed(message: Any, line: str | None) -> None:
    """Clauses L2, L4."""
    diary: list[str] = []
    async with running([temporary(lambda: Probe(diary, "a"))]) as system:
        system.ref("probe").tell(message)
        await settle()
        assert diary[1:] == ([line] if line is not None else [])
        assert not system.ref("probe").alive


async def test_error_in_stopped_makes_the_end_a_crash() -> None:
    """Clause L2."""

    class Untidy(Probe):
        async def stopped(self, reason: ExitReason) -> None:
            raise OSError("disk full")

    async with running([ChildSpec("a", Untidy, name="a", restart=Restart.TRANSIENT)]) as system:
        system.ref("a").tell(Quit())
        await settle()
        assert (await children(system))["a"].restarts == 1


async def test_stopped_is_called_once_even_when_a_child_task_crashes_meanwhile() -> None:
    """Clause L2."""
    calls: list[str] = []
    diary: list[str] = []
    gate = trio.Event()

    async def task() -> None:
        await gate.wait()
        raise RuntimeError("task failed")

    class Tidy(Probe):
        async def stopped(self, reason: ExitReason) -> None:
            calls.append(reason.kind.value)
            gate.set()
            await trio.sleep_forever()

    async def start(actor: Probe) -> None:
        actor.start_task(task)

    async with running([temporary(Tidy), probe("watcher", diary)]) as system:

        async def watch(actor: Probe) -> None:
            actor.watch(system.ref("probe"))

        await system.ref("watcher").ask(Run(watch))
        await system.ref("probe").ask(Run(start))
        system.ref("probe").tell(Quit())
        await settle()
        assert calls == ["normal"]
        assert diary == ["start watcher", "down root/probe crashed"]


async def test_first_reason_to_stop_counts() -> None:
    """Clause L3."""
    diary: list[str] = []

    async def twice(actor: Probe) -> None:
        actor.stop(NORMAL)
        actor.stop(SHUTDOWN)

    async with running([temporary(lambda: Probe(diary, "a"))]) as system:
        await system.ref("probe").ask(Run(twice))
        await settle()
        assert diary[-1] == "stop a normal"


async def test_stop_waits_for_the_message_in_hand_and_passes_the_unread() -> None:
    """Clauses L3, M7."""
    diary: list[str] = []
    gate = trio.Event()
    async with running([temporary(lambda: Probe(diary, "a"))]) as system:
        async with trio.open_nursery() as nursery:
            await occupy(system.ref("probe"), gate, nursery)
            system.ref("probe").tell(Note("unread"))
            system.ref("probe").signal(Stop(SHUTDOWN))
            await settle()
            assert diary == ["start a"]
            gate.set()
        await settle()
        assert diary == ["start a", "stop a shutdown"]


async def test_actor_that_stops_itself_while_starting_comes_up_and_ends() -> None:
    """Clause L3."""
    diary: list[str] = []

    class Brief(Probe):
        async def started(self) -> None:
            await super().started()
            self.stop()

    async with running([temporary(lambda: Brief(diary, "a"))]) as system:
        await settle()
        assert diary == ["start a", "stop a normal"]
        assert not system.ref("probe").alive


async def test_message_that_is_not_understood_is_a_crash() -> None:
    """Clause L2."""

    @attrs.frozen
    class Strange(Cast):
        pass

    diary: list[str] = []
    async with running([temporary(lambda: Probe(diary, "a"))]) as system:
        system.ref("probe").tell(Strange())
        await settle()
        assert diary == ["start a", "stop a crashed"]


async def test_kill_ends_a_busy_actor_at_once() -> None:
    """Clauses A4, L4."""
    async with running([temporary(Probe)]) as system, trio.open_nursery() as nursery:
        ref = system.ref("probe")

        async def hang(_: Probe) -> None:
            await trio.sleep_forever()

        async def ask() -> None:
            with pytest.raises(ActorDown) as caught:
                await ref.ask(Run(hang))
            assert caught.value.outcome is Outcome.UNKNOWN

        nursery.start_soon(ask)
        await settle()
        assert ref.kill()
        await settle()
        assert not ref.alive
        assert not ref.kill()


async def test_task_that_shields_itself_outlives_its_kill(autojump_clock: MockClock) -> None:
    """Clause L4: the limit, and that a supervisor waits for it."""
    ended: list[float] = []

    async def stubborn(_: Probe) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(100)
        ended.append(trio.current_time())

    async with running([probe(shutdown_s=1)]) as system:
        system.ref("probe").tell(Run(stubborn))
        await settle()
        start = trio.current_time()
    assert ended == [start + 100]
    assert trio.current_time() == start + 100


async def test_dependency_failure_that_is_passed_on_does_not_end_the_actor() -> None:
    """Clause L2."""

    class Careful(Probe):
        passes_on: ClassVar[tuple[type[Exception], ...]] = (ConnectionError,)

    async def unreachable(_: Probe) -> None:
        raise ConnectionResetError

    diary: list[str] = []
    async with running([temporary(lambda: Careful(diary, "a"))]) as system:
        with pytest.raises(ConnectionResetError):
            await system.ref("probe").ask(Run(unreachable))
        system.ref("probe").tell(Run(unreachable))
        assert await system.ref("probe").ask(Add(1)) == 1
        assert diary == ["start a"]


# What work inherits


async def test_envelope_is_there_only_with_a_message_in_hand() -> None:
    seen: list[object] = []

    class Curious(Probe):
        async def started(self) -> None:
            with pytest.raises(RuntimeError, match="no message in hand"):
                assert self.envelope is None

        async def receive(self, message: Any) -> object:
            seen.append(self.envelope.message)
            return None

    async with running([ChildSpec("a", Curious, name="a")]) as system:
        await system.ref("a").ask(Add(1))
    assert seen == [Add(1)]


async def test_system_messages_timers_and_stopped_inherit_no_deadline(
    autojump_clock: MockClock,
) -> None:
    """Clause D4: even when they follow a message whose deadline is nearly over."""
    deadlines: dict[str, float | None] = {}

    def look(where: str) -> None:
        ambient = current.get()
        deadlines[where] = ambient.deadline if ambient is not None else None

    class Looking(Probe):
        async def receive(self, message: Any) -> object:
            if isinstance(message, Note | Down):
                look(type(message).__name__)
                return None
            return await super().receive(message)

        async def stopped(self, reason: ExitReason) -> None:
            look("stopped")

    async def work(actor: Probe) -> None:
        look("message")
        actor.watch(system.ref("nobody"))
        actor.timers.start("t", 1, Note("due"))
        await trio.sleep(2)

    async def work_and_stop(actor: Probe) -> None:
        actor.stop()

    async with running([temporary(Looking)]) as system:
        with request_context(deadline=trio.current_time() + 3):
            await system.ref("probe").ask(Run(work))
            await system.ref("probe").ask(Run(work_and_stop))
        await settle()
    never = float("inf")
    assert deadlines == {
        "message": pytest.approx(3),
        "Down": never,
        "Note": never,
        "stopped": never,
    }


async def test_timer_that_asks_its_own_actor_is_a_cycle(autojump_clock: MockClock) -> None:
    """Clause D5."""
    seen: list[type] = []

    class Selfish(Probe):
        async def receive(self, message: Any) -> object:
            try:
                return await self.ref.ask(Add(1))
            except AskCycle as error:
                seen.append(type(error))
                return None

        async def started(self) -> None:
            self.timers.start("t", 1, Note("go"))

    async with running([temporary(Selfish)]):
        await trio.sleep(2)
    assert seen == [AskCycle]


# Become


async def test_become_changes_what_handles_messages_timers_and_down(
    autojump_clock: MockClock,
) -> None:
    """Clause L7."""
    seen: list[str] = []

    class Switching(Probe):
        async def second(self, message: Any) -> object:
            seen.append(type(message).__name__)
            return "second"

    async def switch(actor: Any) -> None:
        actor.timers.start("t", 1, Note("due"))
        actor.become(actor.second)
        actor.watch(system.ref("nobody"))

    async with running([probe(), ChildSpec("a", Switching, name="a")]) as system:
        ref = system.ref("a")
        await ref.ask(Run(switch))
        answer: object = await ref.ask(Add(1))
        assert answer == "second"
        await trio.sleep(2)
        assert seen == ["Down", "Add", "Note"]


async def test_become_ends_with_the_incarnation() -> None:
    """Clause L7."""

    class Fragile(Probe):
        async def second(self, message: Any) -> object:
            raise RuntimeError("boom")

    async def switch(actor: Any) -> None:
        actor.become(actor.second)

    async with running([ChildSpec("a", Fragile, name="a")]) as system:
        await system.ref("a").ask(Run(switch))
        with pytest.raises(ActorDown):
            await system.ref("a").ask(Add(1))
        await settle()
        assert await system.ref("a").ask(Add(1)) == 1


# Stash


class Closed(Probe):
    """Stashes everything until it is told to open."""

    async def receive(self, message: Any) -> object:
        match message:
            case Note(text="open"):
                self.unstash_all()
                self.become(super().receive)
                return None
            case Run():
                return await message.function(self)
        return self.stash()


async def test_stashed_messages_come_back_in_order_before_the_mailbox() -> None:
    """Clause L8."""
    diary: list[str] = []
    answers: list[int] = []
    async with running([temporary(lambda: Closed(diary, "a"))]) as system:
        ref = system.ref("probe")

        async def ask() -> None:
            answers.append(await ref.ask(Add(5)))

        async with trio.open_nursery() as nursery:
            for text in ("1", "2", "3"):
                ref.tell(Note(text))
            nursery.start_soon(ask)
            await settle()
            assert diary == ["start a"]
            ref.tell(Note("open"))
            ref.tell(Note("4"))
        await settle()
        assert diary == ["start a", "1", "2", "3", "4"]
        assert answers == [5]


async def test_unstashing_from_a_child_task_wakes_the_actor() -> None:
    """Clause L8."""
    gate = trio.Event()

    async def later(actor: Probe) -> None:
        async def task() -> None:
            await gate.wait()
            actor.become(lambda message: Probe.receive(actor, message))
            actor.unstash_all()

        actor.start_task(task)

    diary: list[str] = []
    async with running([temporary(lambda: Closed(diary, "a"))]) as system:
        await system.ref("probe").ask(Run(later))
        system.ref("probe").tell(Note("1"))
        await settle()
        gate.set()
        await settle()
        assert diary == ["start a", "1"]


async def test_stashed_ask_keeps_its_deadline(autojump_clock: MockClock) -> None:
    """Clauses D2, L8."""
    async with running([temporary(Closed)]) as system:
        with pytest.raises(Expired) as caught:
            await system.ref("probe").ask(Add(1), timeout_s=1)
        assert caught.value.outcome is Outcome.NOT_DELIVERED
        system.ref("probe").tell(Note("open"))
        assert await system.ref("probe").ask(Add(1)) == 1


async def test_what_is_stashed_at_the_end_was_not_delivered() -> None:
    """Clauses A4, M8."""
    async with running([temporary(Closed)]) as system, trio.open_nursery() as nursery:
        ref = system.ref("probe")

        async def ask() -> None:
            with pytest.raises(ActorDown) as caught:
                await ref.ask(Add(1))
            assert caught.value.outcome is Outcome.NOT_DELIVERED

        nursery.start_soon(ask)
        ref.tell(Note("stashed"))
        await settle()
        await end(ref)
        assert system.dead_letters.counts[DeadReason.UNREAD_AT_EXIT] == 1
        assert system.dead_letters.latest[-1].message == Note("stashed")


# Watch


@pytest.mark.parametrize(
    ("how", "kind"),
    [(Crash(), "crashed"), (Quit(), "normal"), (Run(kill), "killed")],
    ids=["crash", "stop", "kill"],
)
async def test_watcher_gets_one_down_with_the_reason(how: Any, kind: str) -> None:
    """Clause L9."""
    diary: list[str] = []
    async with running([probe("a", diary), probe("b")]) as system:

        async def watch(actor: Probe) -> None:
            actor.watch(system.ref("b"))

        await system.ref("a").ask(Run(watch))
        for _ in range(2):
            system.ref("b").tell(how)
            await settle()
        assert diary == ["start a", f"down root/b {kind}"]


async def test_watching_nobody_gives_down_at_once() -> None:
    """Clause L9."""
    diary: list[str] = []
    async with running([probe("a", diary)]) as system:

        async def watch(actor: Probe) -> None:
            actor.watch(system.ref("nobody"))

        await system.ref("a").ask(Run(watch))
        await system.ref("a").ask(Add(0))
        assert diary == ["start a", "down nobody shutdown"]


async def test_watch_outlives_the_restart_of_the_watcher() -> None:
    """Clause L9."""
    diary: list[str] = []
    async with running([probe("a", diary), probe("b")]) as system:

        async def watch(actor: Probe) -> None:
            actor.watch(system.ref("b"))

        await system.ref("a").ask(Run(watch))
        await end(system.ref("a"))
        await end(system.ref("b"))
        assert diary[-1] == "down root/b crashed"


async def test_down_passes_a_full_mailbox() -> None:
    """Clause M7."""
    diary: list[str] = []
    gate = trio.Event()
    async with running([probe("a", diary, mailbox=MailboxSpec(capacity=2)), probe("b")]) as system:

        async def watch(actor: Probe) -> None:
            actor.watch(system.ref("b"))
            await gate.wait()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(system.ref("a").ask, Run(watch))
            await settle()
            for text in "12":
                system.ref("a").tell(Note(text))
            await end(system.ref("b"))
            gate.set()
        await settle()
        assert diary == ["start a", "down root/b crashed", "1", "2"]


# Child tasks


async def test_child_task_runs_beside_the_messages_and_ends_with_the_actor() -> None:
    """Clause L5."""
    ended: list[str] = []
    ready = trio.Event()

    async def task() -> None:
        try:
            ready.set()
            await trio.sleep_forever()
        finally:
            ended.append("task")

    class Tidy(Probe):
        async def stopped(self, reason: ExitReason) -> None:
            ended.append("stopped")

    async def start(actor: Probe) -> None:
        actor.start_task(task)

    async with running([temporary(Tidy)]) as system:
        await system.ref("probe").ask(Run(start))
        await ready.wait()
        assert await system.ref("probe").ask(Add(1)) == 1
        assert ended == []
    assert ended == ["stopped", "task"]


async def test_crash_of_a_child_task_is_a_crash_of_the_actor() -> None:
    """Clauses A4, L2, L5."""
    gate = trio.Event()
    diary: list[str] = []

    async def task() -> None:
        await gate.wait()
        raise RuntimeError("task failed")

    async def start(actor: Probe) -> None:
        actor.start_task(task)
        gate.set()
        await trio.sleep_forever()

    async with running([probe("a", diary)]) as system:
        with pytest.raises(ActorDown, match="task failed") as caught:
            await system.ref("a").ask(Run(start))
        assert caught.value.outcome is Outcome.UNKNOWN
        await settle()
        assert diary == ["start a", "stop a crashed", "start a"]
        assert (await children(system))["a"].last_exit == "crashed: RuntimeError: task failed"
        diary.clear()


async def test_child_task_keeps_the_trace_but_not_the_deadline() -> None:
    """Clauses D4, L5."""
    seen: list[tuple[str | None, float]] = []

    async def task() -> None:
        ambient = current.get()
        assert ambient is not None
        seen.append((ambient.trace_id, ambient.deadline))

    async def start(actor: Probe) -> None:
        actor.start_task(task)

    async with running([probe()]) as system:
        with request_context(deadline=trio.current_time() + 1, trace_id="t1"):
            await system.ref("probe").ask(Run(start))
        await settle()
    assert seen == [("t1", float("inf"))]


async def test_child_task_may_ask_its_own_actor() -> None:
    """Clause D5."""
    answers: list[int] = []

    async def start(actor: Probe) -> None:
        async def task() -> None:
            answers.append(await actor.ref.ask(Add(4)))

        actor.start_task(task)

    async with running([probe()]) as system:
        await system.ref("probe").ask(Run(start))
        await settle()
    assert answers == [4]


async def test_actor_without_child_tasks_cannot_start_one() -> None:
    """Clause L6."""

    class Lean(Probe):
        child_tasks: ClassVar[bool] = False

    async def start(actor: Probe) -> None:
        with pytest.raises(RuntimeError, match="child_tasks = False"):
            actor.timers.start("t", 1, Note("x"))

    async with running([ChildSpec("a", Lean, name="a")]) as system:
        await system.ref("a").ask(Run(start))


# Timers


class Ticking(Probe):
    """Writes down when its timers fire."""

    def __init__(self, fired: list[tuple[str, float]]) -> None:
        super().__init__()
        self.fired = fired
        self.began_at = trio.current_time()

    async def receive(self, message: Any) -> object:
        if isinstance(message, Note):
            self.fired.append((message.text, trio.current_time() - self.began_at))
            return None
        return await super().receive(message)


async def test_timer_fires_once_and_periodic_timer_again_and_again(
    autojump_clock: MockClock,
) -> None:
    """Clause L6."""
    fired: list[tuple[str, float]] = []

    async def start(actor: Probe) -> None:
        actor.timers.start("once", 2.5, Note("once"))
        actor.timers.start("often", 1, Note("often"), periodic=True)

    async with running([ChildSpec("a", lambda: Ticking(fired), name="a")]) as system:
        await system.ref("a").ask(Run(start))
        await trio.sleep(4.2)
    assert fired == [("often", 1), ("often", 2), ("once", 2.5), ("often", 3), ("often", 4)]


async def test_cancelled_timer_does_not_fire(autojump_clock: MockClock) -> None:
    """Clause L6."""
    fired: list[tuple[str, float]] = []

    async def start(actor: Probe) -> None:
        actor.timers.start("a", 1, Note("a"))
        actor.timers.start("b", 1, Note("b"), periodic=True)
        actor.timers.cancel("a")
        actor.timers.cancel("unknown")

    async def cancel(actor: Probe) -> None:
        actor.timers.cancel("b")

    async with running([ChildSpec("a", lambda: Ticking(fired), name="a")]) as system:
        await system.ref("a").ask(Run(start))
        await trio.sleep(1.5)
        await system.ref("a").ask(Run(cancel))
        await trio.sleep(10)
    assert fired == [("b", 1)]


async def test_starting_a_key_again_replaces_the_timer(autojump_clock: MockClock) -> None:
    """Clause L6."""
    fired: list[tuple[str, float]] = []

    async def start(actor: Probe) -> None:
        actor.timers.start("t", 1, Note("first"))
        actor.timers.start("t", 2, Note("second"))

    async with running([ChildSpec("a", lambda: Ticking(fired), name="a")]) as system:
        await system.ref("a").ask(Run(start))
        await trio.sleep(5)
    assert fired == [("second", 2)]


@pytest.mark.parametrize("replace", [False, True])
async def test_timer_that_is_due_but_unread_can_still_be_cancelled(
    autojump_clock: MockClock, replace: bool
) -> None:
    """Clause L6."""
    fired: list[tuple[str, float]] = []

    async def work(actor: Probe) -> None:
        actor.timers.start("t", 1, Note("first"))
        await trio.sleep(2)
        if replace:
            actor.timers.start("t", 1, Note("second"))
        else:
            actor.timers.cancel("t")

    async with running([ChildSpec("a", lambda: Ticking(fired), name="a")]) as system:
        await system.ref("a").ask(Run(work))
        await trio.sleep(5)
    assert fired == ([("second", 3)] if replace else [])


async def test_periodic_timer_skips_beats_while_its_message_is_unread(
    autojump_clock: MockClock,
) -> None:
    """Clause L6."""
    fired: list[tuple[str, float]] = []

    async def work(actor: Probe) -> None:
        actor.timers.start("t", 1, Note("beat"), periodic=True)
        await trio.sleep(4.5)

    async with running([ChildSpec("a", lambda: Ticking(fired), name="a")]) as system:
        await system.ref("a").ask(Run(work))
        await trio.sleep(1)
    assert fired == [("beat", 4.5), ("beat", 5)]


async def test_timers_end_with_the_incarnation(autojump_clock: MockClock) -> None:
    """Clause L6."""
    fired: list[tuple[str, float]] = []

    async def start(actor: Probe) -> None:
        actor.timers.start("t", 1, Note("beat"), periodic=True)

    async with running([ChildSpec("a", lambda: Ticking(fired), name="a")]) as system:
        await system.ref("a").ask(Run(start))
        await end(system.ref("a"))
        await trio.sleep(5)
    assert fired == []


async def test_timers_pass_a_full_mailbox(autojump_clock: MockClock) -> None:
    """Clauses L6, M7."""
    fired: list[tuple[str, float]] = []

    async def work(actor: Probe) -> None:
        actor.timers.start("t", 1, Note("beat"))
        await trio.sleep(2)

    spec = ChildSpec("a", lambda: Ticking(fired), name="a", mailbox=MailboxSpec(capacity=1))
    async with running([spec]) as system:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(system.ref("a").ask, Run(work))
            await settle()
            system.ref("a").tell(Note("user"))
        await settle()
    assert [text for text, _ in fired] == ["beat", "user"]


# Suspension and inspection


async def test_suspended_actor_reads_only_its_system_lane(autojump_clock: MockClock) -> None:
    """Clauses L6, L10."""
    diary: list[str] = []

    async def start(actor: Probe) -> None:
        actor.timers.start("t", 1, Note("timer"))

    async with running([probe("a", diary)]) as system:
        ref = system.ref("a")
        await ref.ask(Run(start))
        ref.signal(Suspend())
        await settle()
        ref.tell(Note("user"))
        await trio.sleep(2)
        assert diary == ["start a", "timer"]
        statistics = await ref.inspect()
        assert (statistics.suspended, statistics.depth) == (True, 1)
        ref.signal(Resume())
        await settle()
        assert diary == ["start a", "timer", "user"]
        assert not (await ref.inspect()).suspended


async def test_ask_of_a_suspended_actor_expires(autojump_clock: MockClock) -> None:
    """Clauses D2, L10."""
    async with running([probe()]) as system:
        system.ref("probe").signal(Suspend())
        await settle()
        with pytest.raises(Expired):
            await system.ref("probe").ask(Add(1), timeout_s=1)


async def test_suspended_actor_can_be_stopped() -> None:
    """Clause L10."""
    diary: list[str] = []
    async with running([probe("a", diary)]) as system:
        system.ref("a").signal(Suspend())
        await settle()
    assert diary == ["start a", "stop a shutdown"]


async def test_inspect_tells_about_the_incarnation() -> None:
    """Clause L10."""
    async with running([probe()]) as system:
        ref = system.ref("probe")
        await ref.ask(Add(1))
        await end(ref)
        await ref.ask(Add(1))
        await ref.ask(Add(1))
        statistics = await ref.inspect()
        assert statistics.address == "root/probe"
        assert (statistics.actor, statistics.incarnation, statistics.depth) == ("Probe", 2, 0)


@pytest.mark.parametrize("overflow", list(Overflow))
async def test_inspect_passes_a_full_mailbox_and_displaces_nothing(overflow: Overflow) -> None:
    """Clauses L10, M7."""
    gate = trio.Event()
    spec = MailboxSpec(capacity=1, overflow=overflow, coalesce_key=lambda m: m.text)  # type: ignore[attr-defined]
    async with running([probe(mailbox=spec)]) as system, trio.open_nursery() as nursery:
        ref = system.ref("probe")
        depths: list[int] = []

        async def look() -> None:
            depths.append((await ref.inspect()).depth)

        ref.tell(Note("gate"))
        await settle()
        ref.signal(Suspend())
        await settle()
        ref.tell(Note("unread"))
        for _ in range(3):
            nursery.start_soon(look)
        await settle()
        gate.set()
        assert depths == [1, 1, 1]


async def test_inspect_of_nobody_and_of_a_stuck_actor(autojump_clock: MockClock) -> None:
    """Clauses D1, L10."""
    async with running([probe()]) as system:
        with pytest.raises(ActorDown):
            await system.ref("nobody").inspect()
        system.ref("probe").tell(Wait(60))
        await settle()
        with pytest.raises((AskTimeout, Expired)):
            await system.ref("probe").inspect()


async def test_own_system_messages_reach_receive_system() -> None:
    """Clause M7."""

    @attrs.frozen
    class Wake(SystemMessage):
        pass

    seen: list[object] = []

    class Listening(Probe):
        async def receive_system(self, message: SystemMessage) -> None:
            seen.append(message)

    async with running([ChildSpec("a", Listening, name="a")]) as system:
        assert system.ref("a").signal(Wake())
        assert not system.ref("nobody").signal(Wake())
        await settle()
    assert seen == [Wake()]


# Deferred answers


async def test_deferred_answer_comes_from_a_child_task() -> None:
    """Clause A3."""

    class Deferring(Probe):
        async def receive(self, message: Any) -> object:
            if isinstance(message, Add):
                self.start_task(self.answer, self.envelope)
                return DEFERRED
            return await super().receive(message)

        async def answer(self, envelope: Envelope) -> None:
            await self.go.wait()
            envelope.reply("later")
            envelope.reply("never seen")

    async def open_gate(actor: Probe) -> None:
        actor.go.set()

    async with running([ChildSpec("a", Deferring, name="a")]) as system:
        answers: list[object] = []

        async def ask() -> None:
            answers.append(await system.ref("a").ask(Add(1)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
            await settle()
            assert answers == []
            await system.ref("a").ask(Run(open_gate))
        assert answers == ["later", "later"]


@pytest.mark.parametrize("how", [crash, kill])
async def test_deferred_asks_are_answered_when_the_actor_ends(how: Any) -> None:
    """Clauses A3, A4."""

    class Forgetful(Probe):
        async def receive(self, message: Any) -> object:
            if isinstance(message, Add):
                return DEFERRED
            return await super().receive(message)

    async with running([ChildSpec("a", Forgetful, name="a")]) as system:
        outcomes: list[Outcome] = []

        async def ask() -> None:
            with pytest.raises(ActorDown) as caught:
                await system.ref("a").ask(Add(1))
            outcomes.append(caught.value.outcome)

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask)
            await settle()
            await end(system.ref("a"), how)
        assert outcomes == [Outcome.UNKNOWN] * 3
