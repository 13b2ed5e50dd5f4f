"""The operators' desk for looking at actors, in virtual time. Clause I10."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio

from actors.vocabulary import Refusal, RefusalKind
from gateway.introspection import HOLD_S, TRACES_MAX, Held, IntrospectionDesk
from gateway.introspection_messages import (
    INTROSPECTION,
    EndTrace,
    GetActorState,
    GetHeldUp,
    GetStatistics,
    GetSuspension,
    GetTrace,
    Hold,
    LetGo,
    ReplaceActorState,
    ResumeActor,
    SuspendActor,
    TraceActor,
)
from gateway.switch_messages import Order
from runtime import Actor, ActorSystem, ChildSpec, Supervisor
from runtime.journal import JOURNAL
from runtime.message_trace import MessageTrace, TraceEnd
from runtime.ports import seeded_ports
from runtime.sampling import SAMPLING, TIMED
from runtime.storage import StorageUnavailable
from runtime.tree import statistics_at
from tests.trees import START
from tests.unit.runtime.helpers import Add, Note, Probe, Wait, crash, end
from tests.unit.runtime.test_introspection import Tuned
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

ORDER = Order(subject="ada", role="platform", reason="a look", trace_id="req_1", for_s=60.0)


@attrs.define(eq=False)
class World:
    """`log` are the audit records that are durable; `away` keeps any from getting so."""

    log: list[Any] = attrs.field(factory=list)
    away: bool = False
    suspended_when_recorded: list[bool] = attrs.field(factory=list)
    held: Held = attrs.field(factory=Held)
    system: ActorSystem = attrs.field(init=False)

    async def ask(self, message: Any) -> Any:
        return await self.system.ref(INTROSPECTION).ask(message)

    async def is_suspended(self, actor: str = "probe") -> bool:
        return bool((await self.ask(GetStatistics(actor))).suspended)

    @property
    def told(self) -> list[tuple[str, str, str]]:
        return [(r["action"], r["target"], r["subject"]) for r in self.log]


class FakeJournal(Actor):
    """Takes what is appended, or says that the store is away."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def receive(self, message: Any) -> object:
        await trio.sleep(0.1)
        if self._world.away:
            self.envelope.fail(StorageUnavailable("away"))
            return None
        statistics = statistics_at(self.system.ref("probe").receiver(None))
        assert statistics is not None
        self._world.suspended_when_recorded.append(statistics.suspended)
        self._world.log += [write.row[4] for write in message.entry]
        return None


@asynccontextmanager
async def running(*more: ChildSpec) -> AsyncIterator[World]:
    world = World()
    children = (
        ChildSpec("journal", lambda: FakeJournal(world), name=JOURNAL),
        ChildSpec("probe", Probe, name="probe"),
        ChildSpec("tuned", Tuned, name="tuned"),
        *more,
        ChildSpec("introspection", lambda: IntrospectionDesk(world.held), name=INTROSPECTION),
    )
    root = ChildSpec("root", lambda: Supervisor(children, intensity=5), name="root")
    async with ActorSystem(seeded_ports(1, START)).run(root) as system:
        world.system = system
        yield world
    assert SAMPLING.every == TIMED


async def test_a_suspension_is_in_the_log_before_it_begins_and_ends_by_itself() -> None:
    async with running() as world:
        found = await world.ask(SuspendActor("probe", ORDER))
        assert (found.suspended, world.suspended_when_recorded) == (True, [False])
        assert world.told == [("actor.suspend", "root/probe", "ada")]
        assert world.log[0]["after"] == {"state": "suspended", "for_s": 60.0}
        assert [each.address for each in await world.ask(GetHeldUp())] == ["root/probe"]
        await trio.sleep(59)
        assert await world.is_suspended()
        await trio.sleep(2)
        assert not await world.is_suspended()
        assert await world.ask(GetHeldUp()) == ()


async def test_what_the_log_cannot_have_does_not_happen_and_letting_go_does() -> None:
    async with running() as world:
        await world.ask(SuspendActor("probe", ORDER))
        world.away = True
        for message in (
            SuspendActor("tuned", ORDER),
            TraceActor("probe", 10, ORDER),
            ReplaceActorState("tuned", {"limit": 9}, ORDER),
        ):
            with pytest.raises(StorageUnavailable):
                await world.ask(message)
        assert not (await world.ask(ResumeActor("probe", ORDER))).suspended
        assert [each.address for each in await world.ask(GetHeldUp())] == []
        assert len(world.log) == 1
        world.away = False
        await trio.sleep(5)
        assert world.told[1:] == [("actor.resume", "root/probe", "ada")]


async def test_what_is_held_goes_on_when_nobody_asks_for_it_any_more() -> None:
    async with running() as world:
        await world.ask(SuspendActor("probe", ORDER, hold=True))
        trace = await world.ask(TraceActor("probe", 100, ORDER, hold=True))
        for _ in range(4):
            await trio.sleep(HOLD_S - 1)
            assert await world.ask(GetTrace("probe")) is trace
            assert not isinstance(await world.ask(GetSuspension("probe")), Refusal)
        await trio.sleep(HOLD_S + 1)
        assert not await world.is_suspended()
        assert trace.end is TraceEnd.STOPPED
        await trio.sleep(1)
        assert sorted(world.told[2:]) == [
            ("actor.end_trace", "root/probe", "system"),
            ("actor.resume", "root/probe", "system"),
        ]


async def test_who_goes_away_lets_go_at_once_and_only_of_what_is_held() -> None:
    async with running() as world:
        await world.ask(SuspendActor("probe", ORDER))
        trace = await world.ask(TraceActor("probe", 100, ORDER, hold=True))
        desk = world.system.ref(INTROSPECTION)
        desk.tell(LetGo("probe", Hold.SUSPENSION))
        desk.tell(LetGo("probe", Hold.TRACE))
        desk.tell(LetGo("nobody", Hold.TRACE))
        await trio.sleep(0.1)
        assert (await world.is_suspended(), trace.end) == (True, TraceEnd.STOPPED)


async def test_state_is_replaced_and_the_log_has_both() -> None:
    async with running() as world:
        done = await world.ask(ReplaceActorState("tuned", {"limit": 9}, ORDER))
        assert done.state["limit"] == 9
        assert (world.log[0]["before"], world.log[0]["after"]) == ({"limit": 3}, {"limit": 9})
        refused = await world.ask(ReplaceActorState("tuned", {"secret": "password=x"}, ORDER))
        assert (refused.kind, refused.code) == (RefusalKind.INVALID, "state_refused")
        assert (world.log[1]["before"], world.log[1]["after"]) == (
            {"secret": "***"}, {"secret": "***"},
        )  # fmt: skip
        assert (await world.ask(GetActorState("tuned"))).state["secret"] == "***"


async def test_a_trace_is_read_while_it_goes_on_and_when_its_actor_has_ended() -> None:
    async with running() as world:
        trace = await world.ask(TraceActor("probe", 100, ORDER))
        await world.system.ref("probe").ask(Add(1))
        assert (await world.ask(GetTrace("root/probe"))).count == 2
        await end(world.system.ref("probe"), crash)
        assert trace.end is TraceEnd.ACTOR_ENDED
        assert await world.ask(GetTrace("root/probe")) is trace
        assert await world.ask(EndTrace("probe", ORDER)) is trace
        assert (await world.ask(GetTrace("tuned"))).code == "not_traced"
        assert (await world.ask(EndTrace("tuned", ORDER))).code == "not_traced"
        assert (await world.ask(GetSuspension("tuned"))).code == "not_suspended"


async def test_an_actor_that_is_busy_or_absent_is_said_to_be() -> None:
    async with running() as world:
        world.system.ref("probe").tell(Wait(5))
        world.system.ref("probe").tell(Note("unread"))
        for message in (SuspendActor("probe", ORDER), GetActorState("probe")):
            refused = await world.ask(message)
            assert refused.code == "actor_busy"
            assert "busy with Wait" in refused.detail
        statistics = await world.ask(GetStatistics("probe"))
        assert (statistics.in_hand, statistics.depth) == ("Wait", 1)
        await trio.sleep(6)
        assert not await world.is_suspended()
        for absent in (GetStatistics("nobody"), SuspendActor("nobody", ORDER), GetTrace("nobody")):
            refused = await world.ask(absent)
            assert (refused.kind, refused.code) == (RefusalKind.NOT_FOUND, "actor_not_found")
        assert [action for action, _, _ in world.told] == ["actor.suspend"]


async def test_the_desk_cannot_be_suspended_and_looks_at_itself() -> None:
    async with running() as world:
        assert (await world.ask(SuspendActor(INTROSPECTION, ORDER))).code == "would_lock_out"
        assert (await world.ask(GetActorState(INTROSPECTION))).actor == "IntrospectionDesk"
        trace = await world.ask(TraceActor(INTROSPECTION, 10, ORDER))
        await world.ask(GetHeldUp())
        assert trace.count > 0


async def test_traces_have_a_bound_and_those_that_are_over_make_room() -> None:
    many = [ChildSpec(f"p{number}", Probe, name=f"p{number}") for number in range(TRACES_MAX + 2)]
    async with running(*many) as world:
        for number in range(TRACES_MAX):
            trace = await world.ask(TraceActor(f"p{number}", 10, ORDER))
            assert isinstance(trace, MessageTrace)
        assert (await world.ask(TraceActor(f"p{TRACES_MAX}", 10, ORDER))).code == "too_many_traces"
        await world.ask(EndTrace("p3", ORDER))
        assert isinstance(await world.ask(TraceActor(f"p{TRACES_MAX}", 10, ORDER)), MessageTrace)
        assert (await world.ask(GetTrace("p3"))).code == "not_traced"


async def test_what_is_held_is_let_go_also_after_the_desk_has_crashed() -> None:
    async with running() as world:
        await world.ask(SuspendActor("probe", ORDER, hold=True))
        await world.ask(TraceActor("probe", 100, ORDER, hold=True))
        world.system.ref(INTROSPECTION).kill()
        await trio.sleep(HOLD_S + 2)
        assert not await world.is_suspended()
        assert SAMPLING.every == TIMED
