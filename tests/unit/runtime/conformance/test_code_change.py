"""Changing specifications and flags at run time, as a code change of a supervisor does."""

from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from runtime import (
    AdminError,
    AutoShutdown,
    Backoff,
    ChildSpec,
    ChildState,
    DeleteChild,
    GetChildSpec,
    MailboxSpec,
    Reconfigure,
    Restart,
    RestartChild,
    StartChild,
    Strategy,
    Supervisor,
    SupervisorFlags,
    TerminateChild,
)
from tests.unit.runtime.conformance.helpers import LONG, fate, nested, pool, start
from tests.unit.runtime.helpers import (
    Add,
    Probe,
    Wait,
    began,
    end,
    end_normally,
    probe,
    running,
    settle,
    states,
    why,
)

RUNNING, RESTARTING, DOWN = ChildState.RUNNING, ChildState.RESTARTING, ChildState.DOWN


async def test_code_change_of_flags() -> None:
    """Clause S15."""
    diary: list[str] = []
    async with running([probe("a", diary), probe("b", diary)]) as system:
        flags = SupervisorFlags(Strategy.ONE_FOR_ALL, intensity=10)
        assert await system.ref("root").ask(Reconfigure(flags)) is None
        assert diary == ["start a", "start b"]
        await end(system.ref("b"))
        assert diary[2:] == ["stop b crashed", "stop a shutdown", "start a", "start b"]


@pytest.mark.parametrize(
    "flags",
    [
        SupervisorFlags(intensity=-1),
        SupervisorFlags(period_s=0),
        SupervisorFlags("one_for_one"),  # type: ignore[arg-type]
        SupervisorFlags(Strategy.SIMPLE_ONE_FOR_ONE),
        "no flags",
    ],
)
async def test_code_change_to_bad_flags_changes_nothing(flags: Any) -> None:
    """Clauses S13, S15."""
    async with nested([probe("a")], intensity=1) as system:
        answer = await system.ref("sup").ask(Reconfigure(flags, [probe("z")]))
        assert why(answer) is AdminError.INVALID_SPEC
        assert await states(system, "sup") == {"a": RUNNING}
        await end(system.ref("a"))
        assert await fate(system) is None


async def test_code_change_to_bad_specifications_changes_nothing() -> None:
    """Clauses S13, S15: not even the flags that came with them."""
    async with nested([probe("a")], intensity=1) as system:
        sup = system.ref("sup")
        faulty: tuple[Any, ...] = (
            [probe("b"), probe("b")],
            [probe("b", shutdown_s=-1)],
            ["junk"],
            probe("b"),
            7,
        )
        for bad in faulty:
            answer = await sup.ask(Reconfigure(SupervisorFlags(intensity=0), bad))
            assert why(answer) is AdminError.INVALID_SPEC
        await end(system.ref("a"))
        assert await fate(system) is None
        assert await states(system, "sup") == {"a": RUNNING}


async def test_code_change_keeps_the_children_that_run() -> None:
    """Clause S15."""
    async with running([probe("a"), probe("b")]) as system:
        await system.ref("a").ask(Add(5))
        changed = [probe("a", restart=Restart.TEMPORARY), probe("b", shutdown_s=1)]
        assert await system.ref("root").ask(Reconfigure(children=changed)) is None
        assert await system.ref("a").ask(Add(1)) == 6
        assert await system.ref("root").ask(GetChildSpec("a")) == changed[0]
        assert await system.ref("root").ask(GetChildSpec("b")) == changed[1]


async def test_code_change_of_the_restart_type_holds_from_the_next_end() -> None:
    """Clause S15."""
    async with running([probe("a"), probe("b")]) as system:
        changed = [probe("a", restart=Restart.TRANSIENT), probe("b", restart=Restart.TEMPORARY)]
        await system.ref("root").ask(Reconfigure(children=changed))
        for id_ in "ab":
            await end(system.ref(id_), end_normally)
        assert await states(system) == {"a": DOWN}


async def test_code_change_of_the_shutdown_holds_from_the_next_stop(
    autojump_clock: MockClock,
) -> None:
    """Clause S15."""
    async with running([probe("a", shutdown_s=50)]) as system:
        await system.ref("root").ask(Reconfigure(children=[probe("a", shutdown_s=2)]))
        system.ref("a").tell(Wait(100))
        await settle()
        begun = trio.current_time()
        await system.ref("root").ask(TerminateChild("a"))
        assert trio.current_time() - begun == pytest.approx(2)


async def test_code_change_of_the_start_and_mailbox_holds_from_the_next_start() -> None:
    """Clause S15."""
    diary: list[str] = []
    changed = ChildSpec("a", lambda: Probe(diary, "new"), name="a", mailbox=MailboxSpec(capacity=3))
    async with running([probe("a", diary)]) as system:
        await system.ref("root").ask(Reconfigure(children=[changed]))
        assert diary == ["start a"]
        await end(system.ref("a"))
        assert diary == ["start a", "stop a crashed", "start new"]
        assert system.ref("a")._cell.statistics().capacity == 3


async def test_code_change_that_adds_children_starts_none() -> None:
    """Clause S15."""
    diary: list[str] = []
    async with running([probe("a", diary)]) as system:
        root, changed = system.ref("root"), [probe("b", diary), probe("a", diary)]
        assert await root.ask(Reconfigure(children=changed)) is None
        assert await states(system) == {"b": DOWN, "a": RUNNING}
        assert diary == ["start a"]
        assert why(await root.ask(StartChild(probe("b")))) is AdminError.ALREADY_PRESENT
        assert began(await root.ask(RestartChild("b"))).address == "root/b"
        assert await system.ref("b").ask(Add(1)) == 1


async def test_code_change_that_leaves_children_out_keeps_them_last() -> None:
    """Clause S15: until they are terminated and deleted by hand."""
    async with running([probe(id_) for id_ in "abcd"]) as system:
        root = system.ref("root")
        await root.ask(Reconfigure(children=[probe("e"), probe("c")]))
        assert list((await states(system)).items()) == [
            *(("e", DOWN), ("c", RUNNING)),
            *(("a", RUNNING), ("b", RUNNING), ("d", RUNNING)),
        ]
        await end(system.ref("a"))
        assert system.ref("a").alive
        assert await root.ask(TerminateChild("a")) is None
        assert await root.ask(DeleteChild("a")) is None
        assert list(await states(system)) == ["e", "c", "b", "d"]


async def test_code_change_of_the_order_holds_for_stop_and_groups() -> None:
    """Clauses S1, S4, S15."""
    diary: list[str] = []
    specs = [probe(id_, diary) for id_ in "abc"]
    async with running(specs, strategy=Strategy.REST_FOR_ONE) as system:
        await system.ref("root").ask(Reconfigure(children=[specs[2], specs[0], specs[1]]))
        diary.clear()
        await end(system.ref("a"))
        assert diary == ["stop a crashed", "stop b shutdown", "start a", "start b"]
        diary.clear()
    assert diary == ["stop b shutdown", "stop a shutdown", "stop c shutdown"]


async def test_code_change_to_no_children_at_all() -> None:
    """Clause S15."""
    async with running([probe("a")]) as system:
        assert await system.ref("root").ask(Reconfigure(children=[])) is None
        assert await states(system) == {"a": RUNNING}


async def test_code_change_of_nothing() -> None:
    """Clause S15."""
    async with running([probe("a")]) as system:
        assert await system.ref("root").ask(Reconfigure()) is None
        assert await states(system) == {"a": RUNNING}


async def test_code_change_while_a_child_waits_for_its_restart(autojump_clock: MockClock) -> None:
    """Clauses S8, S15: it starts by its new specification, when its time has come."""
    diary: list[str] = []
    async with running([probe("a")], backoff=Backoff(jitter=0), **LONG) as system:
        for _ in range(2):
            await end(system.ref("a"))
        await system.ref("root").ask(Reconfigure(children=[probe("a", diary)]))
        assert await states(system) == {"a": RESTARTING}
        await trio.sleep(1)
        assert diary == ["start a"]


async def test_code_change_is_undone_by_a_restart_of_the_supervisor() -> None:
    """Clause S15: it starts as it was made."""
    async with running([ChildSpec("sup", _sup, name="sup")]) as system:
        await system.ref("sup").ask(Reconfigure(SupervisorFlags(intensity=0), [probe("b")]))
        await end(system.ref("a"))
        await settle()
        assert await states(system, "sup") == {"a": RUNNING}


def _sup() -> Supervisor:
    return Supervisor([probe("a")])


async def test_code_change_simple_takes_another_template() -> None:
    """Clauses S15, S16: with the arguments that each child was started with."""
    diary: list[str] = []

    def item(version: str) -> ChildSpec:
        return ChildSpec("item", lambda name: Probe(diary, f"{name} {version}"))

    async with nested(**pool(item("old"), intensity=5)) as system:
        sup = system.ref("sup")
        ref = await start(sup, "x")
        assert await sup.ask(Reconfigure(template=item("new"))) is None
        assert ref.alive
        await end(ref)
        await start(sup, "y")
        assert diary == ["start x old", "stop x old crashed", "start x new", "start y new"]


async def test_code_change_simple_to_what_it_cannot_be() -> None:
    """Clauses S13, S15."""
    template = ChildSpec("item", Probe)
    async with nested(**pool(template)) as system:
        sup = system.ref("sup")
        for message in (
            Reconfigure(SupervisorFlags(Strategy.ONE_FOR_ONE)),
            Reconfigure(children=[probe("a"), probe("b")]),
            Reconfigure(template=attrs.evolve(template, shutdown_s=-1)),
            Reconfigure(
                SupervisorFlags(
                    Strategy.SIMPLE_ONE_FOR_ONE, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT
                )
            ),
        ):
            assert why(await sup.ask(message)) is AdminError.INVALID_SPEC
        assert await sup.ask(GetChildSpec("item")) == template


async def test_code_change_simple_of_flags() -> None:
    """Clauses S15, S16."""
    async with nested(**pool(ChildSpec("item", Probe), intensity=5)) as system:
        sup = system.ref("sup")
        ref = await start(sup)
        flags = SupervisorFlags(Strategy.SIMPLE_ONE_FOR_ONE, intensity=0)
        assert await sup.ask(Reconfigure(flags)) is None
        await end(ref)
        assert await fate(system) == "shutdown: reached_max_restart_intensity"
