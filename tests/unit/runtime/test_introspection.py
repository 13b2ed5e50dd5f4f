"""Looking at actors from outside, in virtual time: clauses I1 to I9."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ClassVar

import attrs
import pytest
import trio
from trio.testing import MockClock, assert_checkpoints

from runtime import (
    Actor,
    ActorDown,
    ActorRef,
    AskTimeout,
    Call,
    ChildSpec,
    Entities,
    Entity,
    Expired,
    MailboxFull,
    MailboxSpec,
    Overflow,
    RestartChild,
    Supervisor,
    TerminateChild,
    WhichChildren,
    Workers,
)
from runtime.message_trace import KEPT_MAX, TraceEnd, TraceKind
from runtime.sampling import SAMPLING, TIMED
from runtime.state import StateRefused
from runtime.system_messages import SUSPENSION_S, StartTrace, Suspend
from runtime.tree import NotFound, find_actor, read_tree
from tests.unit.runtime.helpers import (
    Add,
    Crash,
    Note,
    Probe,
    Run,
    Wait,
    children,
    end,
    probe,
    running,
    settle,
    supervisor,
)


@attrs.frozen
class Tell(Call[None]):
    """Tell another actor something, and ask it for its total."""

    other: str
    from_a_task: bool = False


@attrs.frozen
class Asked(Call[str]):
    pass


class Sender(Probe):
    async def receive(self, message: Any) -> object:
        if not isinstance(message, Tell):
            return await super().receive(message)
        other = self.system.ref(message.other)
        if message.from_a_task:
            self.start_task(other.send, Note("task"))
        else:
            other.tell(Note("told"))
            await other.ask(Add(1))
        return None


class Batching(Probe):
    batch_max: ClassVar[int] = 8

    async def receive_batch(self, batch: Any) -> None:
        for envelope in batch:
            envelope.reply(await self.receive(envelope.message))


class Pool(Workers):
    async def receive(self, message: Any) -> object:
        if isinstance(message, Crash):
            await crash_now(self)
        await trio.sleep(message.delay_s)
        return "waited"


@attrs.define(eq=False)
class Tuned(Actor):
    """An attrs class: fields have types and a validator."""

    replaceable: ClassVar[frozenset[str]] = frozenset({"limit", "names", "untyped"})
    limit: int = attrs.field(default=3, validator=attrs.validators.ge(1))
    names: tuple[str, ...] = ()
    secret: str = attrs.field(default="hunter2", repr=False)

    async def receive(self, message: Any) -> object:
        return self.limit


class Stubborn(Probe):
    """Its own hook; it fails in its own way."""

    def replace_state(self, changes: Any) -> None:
        if "boom" in changes:
            raise KeyError("boom")
        self.total = changes["total"]


@pytest.fixture(autouse=True)
def nothing_left() -> Any:
    """Whatever a test does, nobody is looked at more closely afterwards."""
    yield
    assert SAMPLING.every == TIMED


# Suspension


async def test_a_forgotten_suspension_ends_by_itself(autojump_clock: MockClock) -> None:
    """Clause I1."""
    async with running([probe()]) as system:
        ref = system.ref("probe")
        await ref.suspend(10)
        began = trio.current_time()
        assert await ref.ask(Add(1), timeout_s=60) == 1
        assert trio.current_time() - began == pytest.approx(10)
        ref.signal(Suspend())
        await settle()
        await ref.ask(Add(1), timeout_s=600)
        assert trio.current_time() - began == pytest.approx(10 + SUSPENSION_S)
        for for_s in (0, -1, float("inf"), float("nan"), 3_601):
            with pytest.raises(ValueError, match="for_s"):
                await ref.suspend(for_s)


async def test_a_suspension_in_force_gets_another_end(autojump_clock: MockClock) -> None:
    """Clause I1."""
    async with running([probe()]) as system:
        ref = system.ref("probe")
        began = trio.current_time()
        await ref.suspend(10)
        await ref.suspend(20)
        await ref.ask(Add(1), timeout_s=60)
        assert trio.current_time() - began == pytest.approx(20)
        await ref.suspend(20)
        await ref.suspend(5)
        await ref.ask(Add(1), timeout_s=60)
        assert trio.current_time() - began == pytest.approx(25)


@pytest.mark.parametrize("overflow", list(Overflow))
async def test_the_mailbox_of_a_suspended_actor_keeps_its_bound(
    overflow: Overflow, autojump_clock: MockClock
) -> None:
    """Clause I2."""
    spec = MailboxSpec(capacity=2, overflow=overflow, coalesce_key=lambda m: m.text)  # type: ignore[attr-defined]
    diary: list[str] = []
    async with running([probe(diary=diary, mailbox=spec)]) as system:
        ref = system.ref("probe")
        await ref.suspend()
        told = [ref.tell(Note(text)) for text in ("a", "b", "b", "c")]
        assert ref.mailbox().depth == 2
        if overflow is Overflow.REJECT:
            with pytest.raises(MailboxFull):
                await ref.send(Note("d"))
        await ref.resume()
        await settle()
    assert (told, diary[1:-1]) == {
        Overflow.WAIT: ([True, True, False, False], ["a", "b"]),
        Overflow.REJECT: ([True, True, False, False], ["a", "b"]),
        Overflow.DROP_OLDEST: ([True, True, True, True], ["b", "c"]),
        Overflow.COALESCE: ([True, True, True, False], ["a", "b"]),
    }[overflow]


async def test_a_supervisor_does_with_a_suspended_child_what_it_does_with_any() -> None:
    """Clause I3."""
    async with running([probe("a"), probe("b")]) as system:
        root, ref = system.ref("root"), system.ref("a")
        await ref.suspend()
        assert ref.tell(Note("unread"))
        assert len(await root.ask(WhichChildren())) == 2
        assert await root.ask(TerminateChild("a")) is None
        await root.ask(RestartChild("a"))
        assert not (await ref.inspect()).suspended
        await ref.suspend()
        ref.kill()
        await settle()
        assert not (await ref.inspect()).suspended
        assert await ref.ask(Add(1)) == 1
        assert (await children(system))["a"].restarts == 2


async def test_a_suspended_supervisor_restarts_its_children_and_answers_later(
    autojump_clock: MockClock,
) -> None:
    """Clause I3."""
    async with running([supervisor("inner", [probe("a")], intensity=5)]) as system:
        inner = system.ref("inner")
        await inner.suspend(10)
        await end(system.ref("a"))
        assert await system.ref("a").ask(Add(1)) == 1
        (node,) = read_tree(system)
        assert [child.status.restarts for child in node.children or ()] == [1]
        began = trio.current_time()
        assert len(await inner.ask(WhichChildren(), timeout_s=60)) == 1
        assert trio.current_time() - began == pytest.approx(10)


async def test_what_is_asked_of_an_actor_that_takes_too_long_does_not_happen_later(
    autojump_clock: MockClock,
) -> None:
    """Clause I4."""
    async with running([probe()]) as system:
        ref = system.ref("probe")
        ref.tell(Wait(10))
        await settle()
        asks: list[Callable[[], Awaitable[object]]] = [
            ref.suspend,
            ref.trace,
            ref.get_state,
            lambda: ref.replace_state({"total": 5}),
        ]
        for ask in asks:
            with trio.move_on_after(0.1) as scope:
                await ask()
            assert scope.cancelled_caught
        await trio.sleep(11)
        statistics = await ref.inspect()
        assert (statistics.suspended, statistics.traced_for_s) == (False, None)
        ref.tell(Wait(10))
        await settle()
        with pytest.raises(Exception, match="deadline passed") as caught:
            await ref.suspend()
        assert type(caught.value).__name__ in {"Expired", "AskTimeout"}


async def test_every_question_is_a_checkpoint_and_can_be_cancelled() -> None:
    """Clauses I4, D6."""
    async with running([ChildSpec("tuned", Tuned, name="tuned")]) as system:
        ref = system.ref("tuned")
        trace = await ref.trace()
        questions: list[Callable[[], Awaitable[object]]] = [
            ref.inspect,
            ref.get_state,
            ref.suspend,
            ref.resume,
            lambda: ref.replace_state({"limit": 5}),
            ref.stop_trace,
            lambda: trace.wait(0),
            ref.trace,
            ref.stop_trace,
        ]
        for question in questions:
            with assert_checkpoints():
                await question()
        ref.tell(Note("go on"))
        for question in questions:
            with trio.CancelScope() as scope:
                scope.cancel()
                await question()
            assert scope.cancelled_caught
        await ref.resume()
        await ref.stop_trace()
        assert await ref.ask(Add(0)) == 5


async def test_introspection_of_nobody() -> None:
    """Clause I4."""
    async with running([probe()]) as system:
        nobody = system.ref("nobody")
        for ask in (nobody.suspend, nobody.resume, nobody.trace, nobody.stop_trace):
            with pytest.raises(ActorDown):
                await ask()
        with pytest.raises(ActorDown):
            await nobody.get_state()


# State


async def test_the_state_is_shown_bounded_and_without_what_nobody_is_to_see() -> None:
    """Clause I5."""

    async def fill(actor: Any) -> None:
        actor.password = "hunter2"
        actor.contact = "ada@example.com, +49 170 1234567"
        actor.display_name = "Ada Lovelace"
        actor.many = list(range(5_000))
        actor.deep = actor.itself = [[[[[[[["deep"]]]]]]]]
        actor.long = "x" * 5_000
        loop: dict[str, Any] = {}
        actor.loop = loop
        loop["loop"] = loop
        actor.big = 1 << 100
        actor.handle = object()

    tuned = ChildSpec("tuned", Tuned, name="tuned")
    async with running([probe(), tuned]) as system:
        ref = system.ref("probe")
        await ref.ask(Run(fill))
        shown = await ref.get_state()
        assert (shown.address, shown.actor, shown.replaceable) == ("root/probe", "Probe", ())
        state = shown.state
        assert (state["total"], state["password"], state["display_name"]) == (0, "***", "***")
        assert state["contact"] == "***e-mail***, ***phone***"
        assert (len(state["many"]), state["many"][-1]) == (21, "… 4980 more")
        assert (len(state["long"]), state["handle"]) == (201, "<object>")
        assert "deep" not in str(state["deep"])
        assert len(str(state)) < 5_000
        assert (await system.ref("tuned").get_state()).state["secret"] == "***"


async def test_state_is_replaced_by_those_who_allow_it_in_its_types() -> None:
    """Clause I6."""
    async with running([ChildSpec("tuned", Tuned, name="tuned")]) as system:
        ref = system.ref("tuned")
        await ref.replace_state({"limit": 7, "names": ["a", "b"]})
        state = (await ref.get_state()).state
        assert (state["limit"], state["names"]) == (7, ["a", "b"])
        assert await ref.ask(Add(0)) == 7


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "nothing to replace"),
        ({"secret": "x"}, "secret is not to be replaced in Tuned: limit, names, untyped is"),
        ({"untyped": 1}, "untyped has no declared type"),
        ({"limit": "7"}, "limit: Expected `int`"),
        ({"names": [1]}, "names: Expected `str`"),
        ({"names": ["new"], "limit": 0}, "limit: "),
        ({"limit": 5, "nobody": 1}, "nobody is not to be replaced"),
    ],
)
async def test_what_is_refused_changes_nothing(changes: dict[str, Any], why: str) -> None:
    """Clause I6."""
    async with running([ChildSpec("tuned", Tuned, name="tuned")]) as system:
        ref = system.ref("tuned")
        before = await ref.get_state()
        with pytest.raises(StateRefused, match=why):
            await ref.replace_state(changes)
        assert await ref.get_state() == before


async def test_an_actor_that_allows_nothing_refuses_and_a_hook_that_fails_is_no_crash() -> None:
    """Clause I6."""
    stubborn = ChildSpec("stubborn", Stubborn, name="stubborn")
    async with running([probe(), stubborn]) as system:
        with pytest.raises(StateRefused, match="nothing is"):
            await system.ref("probe").replace_state({"total": 1})
        ref = system.ref("stubborn")
        with pytest.raises(StateRefused, match="KeyError"):
            await ref.replace_state({"boom": 1})
        await ref.replace_state({"total": 41})
        assert await ref.ask(Add(1)) == 42
        assert (await ref.inspect()).incarnation == 1


# Traces


def told(trace: Any) -> list[tuple[str, str, str | None]]:
    return [(event.kind.value, event.message, event.outcome) for event in trace.after(0)]


async def test_a_trace_has_what_came_what_was_sent_and_how_it_went() -> None:
    """Clause I7."""
    sender = ChildSpec("sender", Sender, name="sender")
    async with running([sender, probe("other")]) as system:
        ref = system.ref("sender")
        trace = await ref.trace()
        await ref.ask(Tell("other"))
        assert told(trace) == [
            ("received", "Tell", None),
            ("sent", "Note", None),
            ("sent", "Add", None),
            ("handled", "Tell", "answered"),
        ]
        received, note, _, handled = trace.after(0)
        assert received.content == {"$type": "Tell", "other": "other", "from_a_task": False}
        assert (note.peer, note.causation) == ("root/other", received.envelope)
        assert handled.service_s is not None
        assert received.wait_s is not None
        await ref.ask(Tell("other", from_a_task=True))
        await settle()
        assert ("sent", "Note", None) in told(trace)[4:]
        ref.tell(Note("cast"))
        await end(ref, crash_now)
        assert told(trace)[-3:] == [
            ("handled", "Note", "done"),
            ("received", "Run", None),
            ("handled", "Run", "failed: RuntimeError"),
        ]
        assert trace.end is TraceEnd.ACTOR_ENDED
        asked = await system.ref("other").trace()
        await ref.ask(Tell("other"))
        assert [event.peer for event in asked.after(0) if event.message == "Add"] == [
            "root/sender", None,
        ]  # fmt: skip


async def crash_now(_actor: Any) -> None:
    raise RuntimeError("boom")


async def test_batches_pools_timers_and_cancelled_handlers_are_traced(
    autojump_clock: MockClock,
) -> None:
    """Clause I7."""

    async def beat(actor: Any) -> None:
        actor.timers.start("beat", 1, Note("beat"))

    batching, pool = ChildSpec("b", Batching, name="b"), ChildSpec("p", Pool, name="p")
    async with running([batching, pool, probe()]) as system:
        batches, pools, probes = [await system.ref(name).trace() for name in ("b", "p", "probe")]
        await system.ref("b").ask(Add(1))
        assert told(batches) == [("received", "Add", None), ("handled", "Add", "answered")]
        await system.ref("p").ask(Wait(1))
        with pytest.raises(ActorDown):
            await system.ref("p").ask(Crash())
        with pytest.raises(AskTimeout):
            await system.ref("p").ask(Wait(9), timeout_s=1)
        assert [outcome for _, _, outcome in told(pools) if outcome] == [
            "answered", "failed: ActorDown", "failed: AskTimeout",
        ]  # fmt: skip
        await system.ref("probe").ask(Run(beat))
        await trio.sleep(2)
        with pytest.raises(AskTimeout):
            await system.ref("probe").ask(Wait(9), timeout_s=1)
        await settle()
        assert told(probes)[2:] == [
            ("received", "Note", None),
            ("handled", "Note", "done"),
            ("received", "Wait", None),
            ("handled", "Wait", "cancelled"),
        ]


async def test_become_and_a_crash_do_not_get_around_a_trace() -> None:
    """Clauses I7, L7."""

    async def other(message: Any) -> object:
        return "other"

    async def switch(actor: Any) -> None:
        actor.become(other)

    async with running([probe()]) as system:
        ref = system.ref("probe")
        trace = await ref.trace()
        await ref.ask(Run(switch))
        assert await ref.ask(Asked()) == "other"
        assert trace.count == 4
        await ref.stop_trace()
        assert await ref.ask(Asked()) == "other"
        assert (trace.count, trace.end) == (4, TraceEnd.STOPPED)


async def test_a_trace_ends_by_itself_and_nothing_is_taken_down_after_it(
    autojump_clock: MockClock,
) -> None:
    """Clause I8."""
    async with running([probe("a"), probe("b")]) as system:
        timed, counted = await system.ref("a").trace(10), await system.ref("b").trace(10, events=3)
        assert SAMPLING.every == 1
        for _ in range(5):
            await system.ref("b").ask(Add(1))
        assert (counted.count, counted.end) == (3, TraceEnd.EVENTS)
        await trio.sleep(9.9)
        assert SAMPLING.every == 1
        await trio.sleep(0.2)
        assert (timed.end, SAMPLING.every) == (TraceEnd.TIME, TIMED)
        await system.ref("a").ask(Add(1))
        assert timed.count == 0
        assert (await system.ref("a").inspect()).traced_for_s is None


async def test_a_trace_ends_in_time_also_while_the_actor_is_stuck(
    autojump_clock: MockClock,
) -> None:
    """Clause I8."""
    async with running([probe()]) as system:
        trace = await system.ref("probe").trace(5)
        system.ref("probe").tell(Wait(60))
        await trio.sleep(6)
        assert (trace.end, SAMPLING.every) == (TraceEnd.TIME, TIMED)


async def test_of_a_long_trace_the_last_events_are_kept() -> None:
    """Clause I8."""
    async with running([probe()]) as system:
        trace = await system.ref("probe").trace(events=2 * KEPT_MAX)
        for _ in range(KEPT_MAX):
            await system.ref("probe").ask(Add(1))
        kept = trace.after(0)
        assert (len(kept), kept[0].number, kept[-1].number) == (
            KEPT_MAX, KEPT_MAX + 1, 2 * KEPT_MAX,
        )  # fmt: skip


async def test_who_reads_a_trace_is_woken_by_news_and_by_its_end(autojump_clock: MockClock) -> None:
    """Clause I8."""
    async with running([probe()]) as system:
        ref = system.ref("probe")
        trace = await ref.trace(10)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trace.wait, 0)
            await trio.sleep(1)
            await ref.ask(Add(1))
        began = trio.current_time()
        await trace.wait(trace.count)
        assert trio.current_time() - began == pytest.approx(9)
        with trio.move_on_after(1) as scope:
            await (await ref.trace()).wait(0)
        assert scope.cancelled_caught
        again = await ref.trace()
        await ref.trace()
        assert again.end is TraceEnd.REPLACED


# Statistics


class OneWorker(Workers):
    concurrency: ClassVar[int] = 1

    async def receive(self, message: Any) -> object:
        await trio.sleep(message.delay_s)
        return "done"


class StashesFirst(Probe):
    """Puts everything aside that comes before a note."""

    async def receive(self, message: Any) -> object:
        if isinstance(message, Note):
            self.unstash_all()
            self.become(super().receive)
            return None
        return self.stash()


async def test_what_nobody_waits_for_when_its_turn_comes_is_not_handled(
    autojump_clock: MockClock,
) -> None:
    """Clause I9: taken up twice, and begun once, by which it was put aside."""
    async with running([ChildSpec("a", StashesFirst, name="a")]) as system:
        ref = system.ref("a")
        with trio.move_on_after(1):
            await ref.ask(Add(1))
        ref.tell(Note("now"))
        await settle()
        assert (await ref.inspect()).handled == 2


@pytest.mark.parametrize("make", [Probe, OneWorker])
async def test_what_was_not_begun_is_not_handled(
    make: Callable[[], Actor], autojump_clock: MockClock
) -> None:
    """Clause I9: expired, or withdrawn by whoever asked."""
    async with running([ChildSpec("a", make, name="a")]) as system:
        ref = system.ref("a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(ref.ask, Wait(10), timeout_s=20))
            await settle()
            with pytest.raises(Expired):
                await ref.ask(Wait(1), timeout_s=1)
            with trio.move_on_after(1):
                await ref.ask(Wait(1))
        await settle()
        assert (await ref.inspect()).handled == 1
        assert (ref.mailbox().accepted, ref.mailbox().depth) == (1, 0)


async def test_statistics_are_exact_where_they_count_and_timed_where_they_tell_times(
    autojump_clock: MockClock,
) -> None:
    """Clause I9."""
    async with running([probe()]) as system:
        ref = system.ref("probe")
        before = await ref.inspect()
        assert (before.handled, before.failed, before.restarts, before.service) == (0, 0, 0, None)
        await trio.sleep(5)
        await end(ref)
        with pytest.raises(AskTimeout):
            await ref.ask(Wait(60), timeout_s=1)
        statistics = await ref.inspect()
        assert (statistics.handled, statistics.failed, statistics.restarts) == (2, 2, 1)
        assert (statistics.since - before.since).total_seconds() == pytest.approx(5)
        await ref.trace()
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(ref.ask, Wait(1))
            await trio.sleep(0.5)
            (node,) = read_tree(system)
            assert node.statistics is not None
            assert (node.statistics.in_hand, node.statistics.depth) == ("Wait", 1)
        found = await ref.inspect()
        assert found.queue_wait is not None
        assert found.service is not None
        assert found.queue_wait.count == 2
        assert found.queue_wait.max_s == pytest.approx(1, abs=0.01)
        assert found.service.mean_s == pytest.approx(1, abs=0.01)
        await ref.stop_trace()


async def test_failures_are_counted_and_askers_that_go_away_are_none(
    autojump_clock: MockClock,
) -> None:
    """Clause I9."""
    async with running([ChildSpec("p", Pool, name="p"), probe()]) as system:
        pool, one = system.ref("p"), system.ref("probe")
        with pytest.raises(ActorDown):
            await pool.ask(Crash())
        for ref in (pool, one):
            with pytest.raises(AskTimeout):
                await ref.ask(Wait(9), timeout_s=1)
            with trio.move_on_after(1):
                await ref.ask(Wait(9))
            await settle()
        assert (await pool.inspect()).failed == 2
        assert (await one.inspect()).failed == 1


# Finding


class Sleeper(Entity):
    async def receive(self, message: Any) -> object:
        return message.amount


def region(idle_s: float = 60.0) -> ChildSpec:
    return ChildSpec("region", lambda: Entities("things", lambda _key: Sleeper(), idle_s=idle_s))


async def test_every_actor_is_found_by_its_place_its_name_or_its_key() -> None:
    """Clause I4."""
    nameless = ChildSpec("nameless", Probe)
    odd = ChildSpec("odd/id", Probe)
    inner = supervisor("inner", [nameless, odd])
    async with running([inner, probe(), region()]) as system:
        await system.entities("things").ref(("m", 1)).ask(Add(1))
        for address, found in {
            "root": "root",
            "inner": "root/inner",
            "probe": "root/probe",
            "root/inner/nameless": "root/inner/nameless",
            "root/inner/odd/id": "root/inner/odd/id",
            "things/('m', 1)": "things/('m', 1)",
        }.items():
            ref = find_actor(system, address)
            assert isinstance(ref, ActorRef), address
            assert ref.address == found
            assert (await ref.inspect()).address == found


async def test_who_does_not_run_is_said_not_to_and_is_not_started_by_looking() -> None:
    """Clause I4."""
    async with running([probe(), supervisor("inner", [probe("a")]), region()]) as system:
        await system.ref("root").ask(TerminateChild("probe"))
        await system.ref("root").ask(TerminateChild("inner"))
        system.ref("never")
        for address, why in {
            "root/probe": "the actor is down; it ended: shutdown",
            "probe": "the actor is down; it ended",
            "root/inner/a": "there is no such actor",
            "a": "no actor runs under this name",
            "never": "no actor runs under this name",
            "things/9": "no entity is active under this key",
            "nonsense": "there is no such actor",
            "root/": "there is no such actor",
            "": "there is no such actor",
        }.items():
            found = find_actor(system, address)
            assert isinstance(found, NotFound), address
            if address != "probe":
                assert found.detail.startswith(why), (address, found.detail)
        assert system.entities("things").find("things/9") is None


async def test_a_suspended_entity_is_not_put_to_sleep(autojump_clock: MockClock) -> None:
    """Clauses I2, E3."""
    async with running([region(idle_s=1.0)]) as system:
        await system.entities("things").ref(7).ask(Add(1))
        ref = find_actor(system, "things/7")
        assert isinstance(ref, ActorRef)
        await ref.suspend(10)
        await trio.sleep(5)
        assert isinstance(find_actor(system, "things/7"), ActorRef)
        await trio.sleep(8)
        assert isinstance(find_actor(system, "things/7"), NotFound)


async def test_how_many_entities_may_be_awake_and_how_long_is_replaced_within_bounds(
    autojump_clock: MockClock,
) -> None:
    """Clauses I6, E3, E4."""
    async with running([attrs.evolve(region(), name="region")]) as system:
        things, host = system.entities("things"), system.ref("region")
        assert (await host.get_state()).replaceable == ("idle_s", "max_active")
        for wrong in ({"idle_s": 0}, {"max_active": 0}, {"idle_s": 1, "max_active": "2"}):
            with pytest.raises(StateRefused):
                await host.replace_state(wrong)
        await host.replace_state({"idle_s": 1.0, "max_active": 1})
        for key in (1, 2):
            await things.ref(key).ask(Add(1))
            await trio.sleep(0.1)
        assert isinstance(find_actor(system, "things/1"), NotFound)
        await trio.sleep(3)
        assert isinstance(find_actor(system, "things/2"), NotFound)
        assert (await host.get_state()).state["statistics"]["passivated"] == 2


async def test_the_tree_is_read_as_far_as_its_bounds_go() -> None:
    """Clause I9."""
    deep = supervisor("deep", [supervisor("deeper", [probe("bottom")])])
    async with running([deep, *(probe(f"p{number}") for number in range(5))]) as system:
        assert len(read_tree(system, nodes_max=3)) == 3
        (first, *_) = read_tree(system, depth_max=1)
        assert (first.status.id, first.children) == ("deep", [])
        (first, *_) = read_tree(system)
        assert first.children is not None
        assert first.children[0].children is not None
        assert first.children[0].children[0].children is None


def test_what_is_asked_for_has_bounds() -> None:
    """Clauses I1, I8."""
    for wrong in (lambda: StartTrace(for_s=0), lambda: StartTrace(events=0), lambda: Suspend(1e9)):
        with pytest.raises(ValueError, match="must be"):
            wrong()
    assert {kind.value for kind in TraceKind} == {"received", "handled", "sent"}
    assert Supervisor.replaceable == frozenset()
