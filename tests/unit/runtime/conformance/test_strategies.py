"""Restart strategies: who is restarted, escalation, and siblings that fail during a restart."""

import pytest
import trio
from trio.testing import MockClock

from runtime import (
    Backoff,
    ChildSpec,
    ChildState,
    CountChildren,
    DeleteChild,
    Restart,
    RestartChild,
    StartChild,
    Strategy,
    TerminateChild,
    WhichChildren,
)
from tests.unit.runtime.conformance.helpers import LONG, fate, nested, pool, reported, start
from tests.unit.runtime.helpers import (
    Probe,
    Reluctant,
    Run,
    began,
    crash,
    end,
    probe,
    running,
    settle,
    states,
    supervisor,
)

RUNNING, RESTARTING, DOWN = ChildState.RUNNING, ChildState.RESTARTING, ChildState.DOWN
ONE_FOR_ONE, ONE_FOR_ALL = Strategy.ONE_FOR_ONE, Strategy.ONE_FOR_ALL
REST_FOR_ONE = Strategy.REST_FOR_ONE
GAVE_UP = "shutdown: reached_max_restart_intensity"


def reluctant(id_: str, failures: list[str], diary: list[str]) -> ChildSpec:
    return ChildSpec(id_, lambda: Reluctant(failures, diary, id_), name=id_)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (ONE_FOR_ONE, "start b"),
        (ONE_FOR_ALL, "stop c shutdown, stop a shutdown, start a, start b, start c"),
        (REST_FOR_ONE, "stop c shutdown, start b, start c"),
    ],
)
async def test_who_is_restarted(strategy: Strategy, expected: str) -> None:
    """Clause S4."""
    diary: list[str] = []
    async with nested([probe(id_, diary) for id_ in "abc"], strategy=strategy) as system:
        diary.clear()
        await end(system.ref("b"))
        assert diary == ["stop b crashed", *expected.split(", ")]
        diary.clear()


@pytest.mark.parametrize("strategy", [ONE_FOR_ONE, ONE_FOR_ALL, REST_FOR_ONE])
async def test_escalation(strategy: Strategy) -> None:
    """Clauses S5, S17: all children are stopped, and the supervisor ends by shutdown."""
    diary: list[str] = []
    specs = [probe("a", diary), probe("b", diary)]
    async with nested(specs, strategy=strategy, intensity=1) as system:
        await end(system.ref("a"))
        diary.clear()
        await end(system.ref("a"))
        assert diary == ["stop a crashed", "stop b shutdown"]
        assert await fate(system) == GAVE_UP
        assert reported(system)[-1] == ("shutdown", "a", "reached_max_restart_intensity")


async def test_simple_one_for_one_escalation() -> None:
    """Clauses S5, S16."""
    async with nested(**pool(ChildSpec("item", Probe), intensity=1)) as system:
        first, second = await start(system.ref("sup")), await start(system.ref("sup"))
        await end(first)
        await end(first)
        assert await fate(system) == GAVE_UP
        assert not second.alive


async def test_one_for_all_other_child_fails_restart() -> None:
    """Clauses S4, S7: the restart is repeated for the one that failed, and its group."""
    diary: list[str] = []
    failures: list[str] = []
    specs = [probe("a", diary), reluctant("b", failures, diary), probe("c", diary)]
    async with nested(specs, strategy=ONE_FOR_ALL, intensity=2) as system:
        failures.append("no")
        diary.clear()
        await end(system.ref("a"))
        await settle()
        assert diary[3:] == [
            *("start a", "fail b", "stop a shutdown"),
            *("start a", "start b", "start c"),
        ]
        assert set((await states(system, "sup")).values()) == {RUNNING}
        assert [kind for kind, _, _ in reported(system)] == ["child_terminated", "start_error"]


async def test_rest_for_one_other_child_fails_restart() -> None:
    """Clauses S4, S7: those before the one that failed run on."""
    diary: list[str] = []
    failures: list[str] = []
    specs = [probe("a", diary), reluctant("b", failures, diary), probe("c", diary)]
    async with nested(specs, strategy=REST_FOR_ONE, intensity=2) as system:
        failures.append("no")
        diary.clear()
        await end(system.ref("a"))
        await settle()
        assert diary[3:] == ["start a", "fail b", "start b", "start c"]
        assert set((await states(system, "sup")).values()) == {RUNNING}


@pytest.mark.parametrize("strategy", [ONE_FOR_ONE, ONE_FOR_ALL, REST_FOR_ONE])
async def test_restart_that_keeps_failing_escalates(strategy: Strategy) -> None:
    """Clauses S5, S7."""
    diary: list[str] = []
    failures: list[str] = []
    specs = [probe("a", diary), reluctant("b", failures, diary)]
    async with nested(specs, strategy=strategy, intensity=3) as system:
        failures.extend(["no"] * 10)
        await end(system.ref("b"))
        await settle(60)
        assert len(failures) == 7
        assert await fate(system) == GAVE_UP
        assert not system.ref("a").alive


@pytest.mark.parametrize("strategy", [ONE_FOR_ALL, REST_FOR_ONE])
async def test_group_whose_restart_hangs_shows_what_waits(
    strategy: Strategy, autojump_clock: MockClock
) -> None:
    """Clauses S4, S9: one is restarting, those behind it are down, and can be administered."""
    diary: list[str] = []
    failures: list[str] = []
    specs = [probe("a", diary), reluctant("b", failures, diary), probe("c", diary)]
    options = {"strategy": strategy, "backoff": Backoff(1, 1, 0), **LONG}
    async with running(specs, **options) as system:
        root = system.ref("root")
        failures.extend(["no"] * 1000)
        await end(system.ref("b"))
        await settle()
        assert (await states(system))["b"] is RESTARTING
        assert (await states(system))["c"] is DOWN
        assert began(await root.ask(RestartChild("c"))).alive
        await trio.sleep(1.5)
        assert (await states(system))["c"] is DOWN
        assert await root.ask(DeleteChild("c")) is None
        assert await root.ask(TerminateChild("b")) is None
        tries = len(failures)
        await trio.sleep(10)
        assert len(failures) == tries


@pytest.mark.parametrize("strategy", list(Strategy)[:3])
async def test_hanging_restart_loop_answers_requests(strategy: Strategy) -> None:
    """Clause S7: without any backoff, and for as long as the loop lasts."""
    failures: list[str] = []
    specs = [reluctant("a", failures, []), probe("b")]
    options = {"strategy": strategy, "intensity": 1_000_000, "period_s": 3600.0}
    async with running(specs, **options) as system:
        root = system.ref("root")
        failures.extend(["no"] * 1_000_000)
        system.ref("a").tell(Run(crash))
        await settle()
        for _ in range(5):
            assert (await states(system))["a"] is RESTARTING
            await root.ask(CountChildren())
        assert began(await root.ask(StartChild(probe("c")))).address == "root/c"
        assert await root.ask(TerminateChild("a")) is None
        tries = len(failures)
        await settle(100)
        assert len(failures) == tries > 900_000
        assert (await states(system))["a"] is DOWN


async def test_hanging_restart_loop_of_a_template_answers_requests() -> None:
    """Clauses S7, S16."""
    failures: list[str] = []
    template = ChildSpec("item", lambda: Reluctant(failures))
    options = pool(template, intensity=1_000_000, period_s=3600.0)
    async with nested(**options) as system:
        sup = system.ref("sup")
        first = await start(sup)
        failures.extend(["no"] * 1_000_000)
        first.tell(Run(crash))
        await settle()
        (status,) = await sup.ask(WhichChildren())
        assert status.state is RESTARTING
        assert await sup.ask(TerminateChild(first)) is None
        assert await sup.ask(WhichChildren()) == ()
        tries = len(failures)
        await settle(100)
        assert len(failures) == tries


async def test_hanging_restart_loop_is_ended_by_a_stop() -> None:
    """Clause S7."""
    failures: list[str] = []
    options = {"intensity": 1_000_000, "period_s": 3600.0}
    async with nested([reluctant("a", failures, [])], **options) as system:
        failures.extend(["no"] * 1_000_000)
        system.ref("a").tell(Run(crash))
        await settle()
        assert await system.ref("root").ask(TerminateChild("sup")) is None
        assert not system.ref("sup").alive


async def test_multiple_restarts_of_one_child(autojump_clock: MockClock) -> None:
    """Clauses S3, S5."""
    async with nested([probe("a")], intensity=3, period_s=2) as system:
        for _ in range(10):
            await end(system.ref("a"))
            assert system.ref("a").alive
            await trio.sleep(1)
        assert await fate(system) is None


async def test_group_restart_starts_members_that_were_down_or_ended() -> None:
    """Clause S4."""
    specs = [probe("a"), probe("b"), probe("c", restart=Restart.TRANSIENT)]
    async with running(specs, strategy=ONE_FOR_ALL) as system:
        await system.ref("root").ask(TerminateChild("b"))
        await end(system.ref("c"), _stop)
        assert await states(system) == {"a": RUNNING, "b": DOWN, "c": DOWN}
        await end(system.ref("a"))
        assert set((await states(system)).values()) == {RUNNING}


async def _stop(actor: Probe) -> None:
    actor.stop()


async def test_rest_for_one_leaves_those_before_alone() -> None:
    """Clause S4: also when they are down."""
    specs = [probe("a"), probe("b"), probe("c")]
    async with running(specs, strategy=REST_FOR_ONE) as system:
        await system.ref("root").ask(TerminateChild("a"))
        await end(system.ref("b"))
        assert await states(system) == {"a": DOWN, "b": RUNNING, "c": RUNNING}


async def test_siblings_that_crash_together_are_one_restart() -> None:
    """Clauses S4, S5, S17: the second crash is a failed shutdown, and no restart of its own."""
    async with nested([probe("a"), probe("b")], strategy=ONE_FOR_ALL, intensity=1) as system:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end, system.ref("a"))
            nursery.start_soon(end, system.ref("b"))
        assert await fate(system) is None
        assert set((await states(system, "sup")).values()) == {RUNNING}
        kinds = sorted(kind for kind, _, _ in reported(system))
        assert kinds == ["child_terminated", "shutdown_error"]


async def test_restart_of_a_tree_restarts_all_below() -> None:
    """Clause S5: escalation to a supervisor that goes on."""
    async with running([supervisor("sup", [probe("a"), probe("b")], intensity=0)]) as system:
        await end(system.ref("a"))
        await settle()
        assert await states(system, "sup") == {"a": RUNNING, "b": RUNNING}
        (sup,) = await system.ref("root").ask(WhichChildren())
        assert (sup.restarts, sup.last_exit) == (1, GAVE_UP)
