"""The switchboard, in virtual time: first the audit log, then the switch, and back in time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import attrs
import pytest
import trio

from actors.vocabulary import Refusal
from config.policies import CONTROLS
from config.policy_loading import default_policies
from gateway.late_entries import RECORD_AGAIN_S
from gateway.switch_messages import (
    SWITCHBOARD,
    GetPolicies,
    GetShedding,
    GetSwitches,
    Order,
    SwitchBreaker,
    SwitchChaos,
    SwitchShedding,
)
from gateway.switchboard import Switchboard
from runtime import Actor, ActorSystem, ChildSpec, RestartChild, Supervisor, TerminateChild
from runtime.journal import JOURNAL
from runtime.policies import (
    BreakerState,
    ChaosSpec,
    Fault,
    ForcedState,
    LoadShedder,
    Policies,
    PolicyMetrics,
    Priority,
    SheddingMode,
    SheddingSpec,
)
from runtime.ports import seeded_ports
from runtime.storage import StorageUnavailable
from supervisors.policies import domain_policies
from supervisors.switches import Switches
from tests.trees import START
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

ORDER = Order(subject="ada", role="platform", reason="a drill", trace_id="req_1")
FOR_A_MINUTE = attrs.evolve(ORDER, for_s=60.0)
HALF_AN_ERROR = ChaosSpec(fault=Fault.ERROR, share=0.5)


@attrs.define(eq=False)
class World:
    """`log` are the audit records that are durable; `away` keeps any from getting so."""

    policies: Policies
    switches: Switches = attrs.field(factory=Switches)
    log: list[Any] = attrs.field(factory=list)
    away: bool = False
    states_when_recorded: list[BreakerState] = attrs.field(factory=list)
    system: ActorSystem = attrs.field(init=False)

    async def ask(self, message: Any) -> Any:
        return await self.system.ref(SWITCHBOARD).ask(message)

    def state(self, name: str = "points") -> BreakerState:
        breaker = self.policies[name].breaker
        assert breaker is not None
        return breaker.statistics().state

    def faults(self) -> ChaosSpec | None:
        return self.policies["points"].chaos.spec

    @property
    def told(self) -> list[tuple[str, str, Any, Any]]:
        return [(r["action"], r["target"], r["before"], r["after"]) for r in self.log]


class FakeJournal(Actor):
    """Takes what is appended, or says that the store is away."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def receive(self, message: Any) -> object:
        await trio.sleep(0.1)
        if self._world.away:
            self.envelope.fail(StorageUnavailable("away"))
            return None
        self._world.states_when_recorded.append(self._world.state())
        self._world.log += [write.row[4] for write in message.entry]
        return None


@asynccontextmanager
async def running(*, chaos_allowed: bool = True) -> AsyncIterator[World]:
    metrics = PolicyMetrics()
    world = World(
        domain_policies(default_policies(), Random(1), metrics, chaos_allowed=chaos_allowed)
    )
    shedder: list[LoadShedder] = []

    def shedder_of(system: ActorSystem) -> LoadShedder:
        if not shedder:
            shedder.append(LoadShedder("gateway", SheddingSpec(), Random(1)))
        return shedder[0]

    def board() -> Switchboard:
        return Switchboard(lambda _system: world.policies, shedder_of, world.switches)

    children = (
        ChildSpec("journal", lambda: FakeJournal(world), name=JOURNAL),
        ChildSpec("switchboard", board, name=SWITCHBOARD),
    )
    root = ChildSpec("root", lambda: Supervisor(children), name="root")
    async with ActorSystem(seeded_ports(1, START)).run(root) as system:
        world.system = system
        yield world


async def test_a_switch_takes_effect_when_the_log_has_it() -> None:
    async with running() as world:
        assert await world.ask(SwitchBreaker("points", ForcedState.OPEN, ORDER)) is None
        assert world.state() is BreakerState.FORCED_OPEN
        assert world.states_when_recorded == [BreakerState.CLOSED]
        assert world.told == [
            ("breaker.switch", "points", {"state": "automatic"},
             {"state": "forced_open", "for_s": None}),
        ]  # fmt: skip
        assert (world.log[0]["subject"], world.log[0]["reason"]) == ("ada", "a drill")
        assert world.log[0]["trace_id"] == "req_1"


async def test_what_the_log_cannot_have_does_not_take_effect() -> None:
    async with running() as world:
        world.away = True
        for message in (
            SwitchBreaker("points", ForcedState.OPEN, ORDER),
            SwitchChaos("points", HALF_AN_ERROR, ORDER),
            SwitchShedding(SheddingMode.AUTOMATIC, frozenset({Priority.READS}), ORDER),
        ):
            with pytest.raises(StorageUnavailable):
                await world.ask(message)
        assert world.state() is BreakerState.CLOSED
        assert world.faults() is None
        assert (await world.ask(GetShedding())).shed_by_hand == frozenset()
        assert await world.ask(GetSwitches()) == ()


async def test_going_back_is_not_kept_from_it_by_the_database_and_is_recorded_later() -> None:
    """Otherwise nobody could lift what cuts the database off."""
    async with running() as world:
        await world.ask(SwitchBreaker("points", ForcedState.OPEN, ORDER))
        world.away = True
        await world.ask(SwitchBreaker("points", None, ORDER))
        assert world.state() is BreakerState.CLOSED
        await trio.sleep(60)
        assert len(world.log) == 1
        world.away = False
        await trio.sleep(3 * RECORD_AGAIN_S)
        assert [after["state"] for *_, after in world.told] == ["forced_open", "automatic"]


async def test_a_switch_goes_back_when_its_time_is_up_and_the_log_says_so() -> None:
    async with running() as world:
        await world.ask(SwitchBreaker("points", ForcedState.DISABLED, FOR_A_MINUTE))
        (switched,) = await world.ask(GetSwitches())
        assert (switched.until - switched.since).total_seconds() == 60
        await trio.sleep(59)
        assert world.state() is BreakerState.DISABLED
        await trio.sleep(1.5)
        assert world.state() is BreakerState.CLOSED
        assert await world.ask(GetSwitches()) == ()
        assert world.told[1][2:] == ({"state": "disabled"}, {"state": "automatic"})
        assert (world.log[1]["subject"], world.log[1]["reason"]) == ("system", "its time is up")


async def test_a_later_switch_takes_the_place_of_the_time_limit_before() -> None:
    async with running() as world:
        await world.ask(SwitchBreaker("points", ForcedState.DISABLED, FOR_A_MINUTE))
        await world.ask(SwitchBreaker("points", ForcedState.OPEN, ORDER))
        await trio.sleep(600)
        assert world.state() is BreakerState.FORCED_OPEN
        assert len(await world.ask(GetSwitches())) == 1


async def test_time_limits_outlive_the_switchboard() -> None:
    async with running() as world:
        await world.ask(SwitchBreaker("points", ForcedState.OPEN, FOR_A_MINUTE))
        root = world.system.ref("root")
        await root.ask(TerminateChild("switchboard"))
        await trio.sleep(30)
        await root.ask(RestartChild("switchboard"))
        await trio.sleep(29)
        assert world.state() is BreakerState.FORCED_OPEN
        await trio.sleep(2)
        assert world.state() is BreakerState.CLOSED


async def test_chaos_is_switched_on_and_off() -> None:
    async with running() as world:
        assert await world.ask(SwitchChaos("points", HALF_AN_ERROR, FOR_A_MINUTE)) is None
        assert world.faults() == HALF_AN_ERROR
        assert world.told[0][3]["fault"] == "error"
        await world.ask(SwitchChaos("points", None, ORDER))
        assert world.faults() is None
        await world.ask(SwitchChaos("points", HALF_AN_ERROR, FOR_A_MINUTE))
        await trio.sleep(61)
        assert world.faults() is None


async def test_chaos_that_is_not_allowed_is_refused_and_not_in_the_log() -> None:
    async with running(chaos_allowed=False) as world:
        refusal = await world.ask(SwitchChaos("points", HALF_AN_ERROR, ORDER))
        assert isinstance(refusal, Refusal)
        assert refusal.code == "chaos_not_allowed"
        assert world.log == []
        assert await world.ask(SwitchChaos("points", None, ORDER)) is None


async def test_priorities_are_shed_and_let_in_again() -> None:
    async with running() as world:
        shed = frozenset({Priority.READS, Priority.DASHBOARDS})
        await world.ask(SwitchShedding(SheddingMode.DISABLED, shed, FOR_A_MINUTE))
        found = await world.ask(GetShedding())
        assert (found.mode, found.shed_by_hand) == (SheddingMode.DISABLED, shed)
        assert world.told[0][3] == {
            "state": "disabled", "shed": ["dashboards", "reads"], "for_s": 60.0,
        }  # fmt: skip
        await trio.sleep(61)
        found = await world.ask(GetShedding())
        assert (found.mode, found.shed_by_hand) == (SheddingMode.AUTOMATIC, frozenset())


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (SwitchBreaker("nobody", ForcedState.OPEN, ORDER), "not_found"),
        (SwitchChaos("nobody", None, ORDER), "not_found"),
        (SwitchBreaker(CONTROLS, ForcedState.OPEN, ORDER), "would_lock_out"),
        (SwitchChaos(CONTROLS, HALF_AN_ERROR, ORDER), "would_lock_out"),
    ],
)
async def test_what_makes_no_sense_is_refused(message: Any, code: str) -> None:
    async with running() as world:
        refusal = await world.ask(message)
        assert isinstance(refusal, Refusal)
        assert refusal.code == code
        assert world.log == []


async def test_all_policies_can_be_seen() -> None:
    async with running() as world:
        names = {found.name for found in await world.ask(GetPolicies())}
        assert {"points", "auth", CONTROLS} <= names
