"""Supervisors: strategies, restart rules, intensity, order, shutdown, administration."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from runtime import (
    BRUTAL,
    INFINITE,
    ActorDown,
    ActorSystem,
    AdminError,
    AskTimeout,
    Backoff,
    ChildCounts,
    ChildSpec,
    ChildState,
    CountChildren,
    DeleteChild,
    ExitReason,
    Outcome,
    Restart,
    RestartChild,
    RootDown,
    StartChild,
    StartFailed,
    Stop,
    Strategy,
    Supervisor,
    TerminateChild,
    WhichChildren,
)
from runtime.exits import SHUTDOWN
from runtime.ports import seeded_ports
from tests.unit.runtime.helpers import (
    START,
    Add,
    Note,
    Probe,
    Reluctant,
    Run,
    Wait,
    began,
    children,
    crash,
    end,
    end_normally,
    end_with_shutdown,
    kill,
    probe,
    running,
    settle,
    states,
    supervisor,
    why,
)

RUNNING, RESTARTING, DOWN = ChildState.RUNNING, ChildState.RESTARTING, ChildState.DOWN
LONG = {"intensity": 100, "period_s": 1000.0}


def reluctant(id_: str, failures: list[str], diary: list[str], **options: Any) -> ChildSpec:
    return ChildSpec(id_, lambda: Reluctant(failures, diary, id_), name=id_, **options)


# Order


async def test_children_start_in_order_and_stop_in_reverse() -> None:
    """Clause S1."""
    diary: list[str] = []
    async with running([probe(id_, diary) for id_ in "abc"]):
        assert diary == ["start a", "start b", "start c"]
        diary.clear()
    assert diary == ["stop c shutdown", "stop b shutdown", "stop a shutdown"]


async def test_next_child_starts_only_when_the_one_before_is_ready(
    autojump_clock: MockClock,
) -> None:
    """Clause S1."""
    diary: list[str] = []

    class Slow(Probe):
        async def started(self) -> None:
            await trio.sleep(10)
            await super().started()

    async with running([ChildSpec("a", lambda: Slow(diary, "a")), probe("b", diary)]):
        assert diary == ["start a", "start b"]


async def test_trees_stop_from_the_leaves_of_the_last_branch() -> None:
    """Clause S1."""
    diary: list[str] = []
    left = supervisor("left", [probe("a", diary), probe("b", diary)])
    right = supervisor("right", [probe("c", diary), probe("d", diary)])
    async with running([left, right]):
        diary.clear()
    assert [line.split()[1] for line in diary] == ["d", "c", "b", "a"]


# Boot


async def test_failed_start_at_boot_stops_what_had_started() -> None:
    """Clause S2."""
    diary: list[str] = []
    specs = [probe("a", diary), probe("b", diary), reluctant("c", ["no"], diary)]
    with pytest.raises(StartFailed, match="c did not start"):
        async with running(specs):
            pytest.fail("the block must not run")
    assert diary == ["start a", "start b", "fail c", "stop b shutdown", "stop a shutdown"]


async def test_constructor_that_raises_is_a_failed_start() -> None:
    """Clause S2."""

    def make() -> Probe:
        raise ValueError("no configuration")

    with pytest.raises(StartFailed, match="did not start"):
        async with running([ChildSpec("a", make)]):
            pytest.fail("the block must not run")


async def test_name_taken_at_boot_stops_what_had_started() -> None:
    """Clause S2."""
    diary: list[str] = []
    twin = attrs.evolve(probe("twin", diary), name="a")
    with pytest.raises(StartFailed, match="is taken"):
        async with running([probe("a", diary), twin]):
            pytest.fail("the block must not run")
    assert diary == ["start a", "stop a shutdown"]


async def test_start_that_takes_too_long_is_killed(autojump_clock: MockClock) -> None:
    """Clause S11."""

    class Stuck(Probe):
        async def started(self) -> None:
            await trio.sleep_forever()

    start = trio.current_time()
    with pytest.raises(StartFailed):
        async with running([ChildSpec("a", Stuck, start_timeout_s=3)]):
            pytest.fail("the block must not run")
    assert trio.current_time() - start == pytest.approx(3)


async def test_children_with_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="same id"):
        Supervisor([probe("a"), probe("a")])


@pytest.mark.parametrize(
    ("strategy", "template"),
    [(Strategy.SIMPLE_ONE_FOR_ONE, None), (Strategy.ONE_FOR_ONE, probe())],
)
async def test_template_belongs_to_simple_one_for_one(
    strategy: Strategy, template: ChildSpec | None
) -> None:
    with pytest.raises(ValueError, match="template"):
        Supervisor(strategy=strategy, template=template)


# Who is restarted


@pytest.mark.parametrize(
    ("restart", "how", "state"),
    [
        (Restart.PERMANENT, end_normally, RUNNING),
        (Restart.PERMANENT, end_with_shutdown, RUNNING),
        (Restart.PERMANENT, crash, RUNNING),
        (Restart.PERMANENT, kill, RUNNING),
        (Restart.TRANSIENT, end_normally, DOWN),
        (Restart.TRANSIENT, end_with_shutdown, DOWN),
        (Restart.TRANSIENT, crash, RUNNING),
        (Restart.TRANSIENT, kill, RUNNING),
        (Restart.TEMPORARY, end_normally, None),
        (Restart.TEMPORARY, end_with_shutdown, None),
        (Restart.TEMPORARY, crash, None),
        (Restart.TEMPORARY, kill, None),
    ],
)
async def test_restart_rule_decides_by_the_kind_of_exit(
    restart: Restart, how: Callable[[Probe], Any], state: ChildState | None
) -> None:
    """Clause S3."""
    async with running([probe(restart=restart)]) as system:
        await end(system.ref("probe"), how)
        child = (await children(system)).get("probe")
        assert (child.state if child is not None else None) is state
        if child is not None:
            assert child.restarts == (1 if state is RUNNING else 0)


@pytest.mark.parametrize(
    ("strategy", "restarted"),
    [
        (Strategy.ONE_FOR_ONE, ["stop b crashed", "start b"]),
        (
            Strategy.ONE_FOR_ALL,
            [
                "stop b crashed",
                "stop c shutdown",
                "stop a shutdown",
                "start a",
                "start b",
                "start c",
            ],
        ),
        (Strategy.REST_FOR_ONE, ["stop b crashed", "stop c shutdown", "start b", "start c"]),
    ],
)
async def test_strategy_decides_who_shares_the_fate(
    strategy: Strategy, restarted: list[str]
) -> None:
    """Clause S4."""
    diary: list[str] = []
    async with running([probe(id_, diary) for id_ in "abc"], strategy=strategy) as system:
        diary.clear()
        await end(system.ref("b"))
        assert diary == restarted
        assert set((await states(system)).values()) == {RUNNING}
        diary.clear()


async def test_restart_is_a_fresh_actor() -> None:
    async with running([probe()]) as system:
        await system.ref("probe").ask(Add(5))
        await end(system.ref("probe"))
        assert await system.ref("probe").ask(Add(1)) == 1


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
async def test_group_restart_forgets_temporary_members(strategy: Strategy) -> None:
    """Clause S4."""
    specs = [probe("a"), probe("b", restart=Restart.TEMPORARY), probe("c")]
    async with running(specs, strategy=strategy) as system:
        await end(system.ref("a"))
        assert await states(system) == {"a": RUNNING, "c": RUNNING}


async def test_group_restart_starts_members_that_were_down() -> None:
    """Clause S4."""
    async with running([probe("a"), probe("b")], strategy=Strategy.ONE_FOR_ALL) as system:
        await system.ref("root").ask(TerminateChild("a"))
        await end(system.ref("b"))
        assert await states(system) == {"a": RUNNING, "b": RUNNING}


async def test_two_crashes_at_once_are_one_group_restart() -> None:
    """Clause S4."""
    diary: list[str] = []
    options = {"strategy": Strategy.ONE_FOR_ALL, "intensity": 1}
    async with running([probe("a", diary), probe("b", diary)], **options) as system:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end, system.ref("a"))
            nursery.start_soon(end, system.ref("b"))
        assert diary.count("start a") == diary.count("start b") == 2
        assert set((await states(system)).values()) == {RUNNING}


async def test_metrics_count_restarts() -> None:
    async with running([probe()]) as system:
        await end(system.ref("probe"))
        await end(system.ref("probe"))
        value = system.metrics.registry.get_sample_value(
            "loyalnest_actor_restarts_total", {"child": "probe"}
        )
        assert value == 2


# What others see of a crash


async def test_names_and_references_survive_restarts() -> None:
    """Clause S10."""
    async with running([probe()]) as system:
        ref = system.ref("probe")
        for _ in range(5):
            await end(ref)
            assert ref.alive
            assert await ref.ask(Add(1)) == 1
        assert ref.address == system.ref("probe").address == "root/probe"


async def test_crash_answers_the_askers_that_wait() -> None:
    """Clauses A4, S10."""
    errors: list[Outcome] = []
    gate = trio.Event()

    async def crash_at_the_gate(_: Probe) -> None:
        await gate.wait()
        raise RuntimeError("boom")

    async with running([probe()]) as system:

        async def ask(message: Any) -> None:
            with pytest.raises(ActorDown) as caught:
                await system.ref("probe").ask(message)
            errors.append(caught.value.outcome)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, Run(crash_at_the_gate))
            await settle()
            for _ in range(3):
                nursery.start_soon(ask, Add(1))
            await settle()
            gate.set()
        assert errors.count(Outcome.UNKNOWN) == 1
        assert errors.count(Outcome.NOT_DELIVERED) == 3


# Intensity


async def test_supervisor_gives_up_after_too_many_restarts(autojump_clock: MockClock) -> None:
    """Clause S5."""
    diary: list[str] = []
    inner = supervisor("inner", [probe("a", diary), probe("b", diary)], intensity=2, period_s=10)
    async with running([inner]) as system:
        for _ in range(2):
            await end(system.ref("a"))
        assert (await children(system))["inner"].restarts == 0
        diary.clear()
        await end(system.ref("a"))
        assert diary == ["stop a crashed", "stop b shutdown", "start a", "start b"]
        status = (await children(system))["inner"]
        assert status.restarts == 1
        assert status.last_exit == "shutdown: reached_max_restart_intensity"
        diary.clear()


async def test_restarts_that_are_far_apart_do_not_add_up(autojump_clock: MockClock) -> None:
    """Clause S5."""
    inner = supervisor("inner", [probe("a")], intensity=2, period_s=10)
    async with running([inner]) as system:
        for _ in range(20):
            await end(system.ref("a"))
            await trio.sleep(5.01)
        assert (await children(system))["inner"].restarts == 0


async def test_intensity_counts_in_a_sliding_window(autojump_clock: MockClock) -> None:
    """Clause S5: at 0, 9 and 11 the first has left the window; at 12 there are three in it."""
    inner = supervisor("inner", [probe("a")], intensity=2, period_s=10)
    async with running([inner]) as system:
        for pause_s, gave_up in ((0, 0), (9, 0), (2, 0), (1, 1)):
            await trio.sleep(pause_s)
            await end(system.ref("a"))
            assert (await children(system))["inner"].restarts == gave_up


async def test_intensity_zero_passes_the_first_fault_up() -> None:
    """Clause S5."""
    async with running([supervisor("inner", [probe("a")], intensity=0)]) as system:
        await end(system.ref("a"))
        assert (await children(system))["inner"].restarts == 1


async def end_and_wait(system: AbstractAsyncContextManager[ActorSystem], name: str) -> None:
    async with system as running_system:
        await end(running_system.ref(name))
        await trio.sleep_forever()


async def test_root_that_gives_up_ends_the_system() -> None:
    """Clause S5."""
    diary: list[str] = []
    with pytest.raises(RootDown, match="reached_max_restart_intensity"):
        await end_and_wait(running([probe("a", diary), probe("b", diary)], intensity=0), "a")
    assert diary == ["start a", "start b", "stop a crashed", "stop b shutdown"]


async def test_root_that_crashes_ends_the_system_with_its_error() -> None:
    """Clause S5."""
    root = ChildSpec("root", lambda: Probe(None, "root"), name="root")
    with pytest.raises(RootDown) as caught:
        await end_and_wait(ActorSystem(seeded_ports(1, START)).run(root), "root")
    assert isinstance(caught.value.__cause__, RuntimeError)


async def test_error_in_the_block_stops_the_tree_and_is_raised_as_it_is() -> None:
    """Clause S1."""
    diary: list[str] = []
    with pytest.raises(LookupError):
        async with running([probe("a", diary)]):
            raise LookupError
    assert diary == ["start a", "stop a shutdown"]


# Failed restarts and backoff


async def test_failed_restart_is_tried_again_and_counted() -> None:
    """Clause S7."""
    diary: list[str] = []
    failures: list[str] = []
    inner = supervisor("inner", [reluctant("a", failures, diary)], intensity=3)
    async with running([inner]) as system:
        failures += ["no", "no"]
        await end(system.ref("a"))
        assert diary == ["start a", "stop a crashed", "fail a", "fail a", "start a"]
        assert (await children(system, "inner"))["a"].restarts == 3
        await end(system.ref("a"))
        assert (await children(system))["inner"].restarts == 1


async def test_stop_gets_in_between_the_tries_of_a_restart() -> None:
    """Clause S7."""
    diary: list[str] = []
    failures: list[str] = []
    async with running([reluctant("a", failures, diary)], **LONG) as system:
        failures += ["no"] * 1000
        system.ref("a").tell(Run(crash))
        while len(failures) > 990:
            await trio.lowlevel.checkpoint()
    assert 900 < len(failures) < 991
    assert diary[-1] == "fail a"


async def test_terminate_gets_in_between_the_tries_of_a_restart(autojump_clock: MockClock) -> None:
    """Clause S7."""
    diary: list[str] = []
    failures: list[str] = []
    backoff = Backoff(initial_s=1, max_s=1, jitter=0)
    async with running([reluctant("a", failures, diary)], backoff=backoff, **LONG) as system:
        failures += ["no"] * 10
        await end(system.ref("a"))
        await trio.sleep(2.5)
        assert await states(system) == {"a": RESTARTING}
        assert await system.ref("root").ask(TerminateChild("a")) is None
        tries = len(failures)
        await trio.sleep(20)
        assert len(failures) == tries
        assert await states(system) == {"a": DOWN}


async def test_group_restart_that_fails_half_way_is_tried_again_whole() -> None:
    """Clauses S4, S7."""
    diary: list[str] = []
    failures: list[str] = []
    specs = [probe("a", diary), reluctant("b", failures, diary), probe("c", diary)]
    async with running(specs, strategy=Strategy.ONE_FOR_ALL) as system:
        failures += ["no"]
        diary.clear()
        await end(system.ref("a"))
        await settle()
        assert diary == [
            *("stop a crashed", "stop c shutdown", "stop b shutdown"),
            *("start a", "fail b", "stop a shutdown"),
            *("start a", "start b", "start c"),
        ]
        assert set((await states(system)).values()) == {RUNNING}


async def test_group_whose_culprit_is_terminated_is_restarted_by_hand(
    autojump_clock: MockClock,
) -> None:
    """Clause S9."""
    options = {"strategy": Strategy.ONE_FOR_ALL, "backoff": Backoff(), **LONG}
    async with running([probe("a"), probe("b")], **options) as system:
        root = system.ref("root")
        for _ in range(2):
            await end(system.ref("a"))
        await root.ask(TerminateChild("a"))
        await trio.sleep(60)
        assert await states(system) == {"a": DOWN, "b": DOWN}
        for name in "ab":
            assert began(await root.ask(RestartChild(name))).address == f"root/{name}"
        assert await states(system) == {"a": RUNNING, "b": RUNNING}


async def test_backoff_delays_all_restarts_of_a_period_but_the_first(
    autojump_clock: MockClock,
) -> None:
    """Clause S8."""
    backoff = Backoff(initial_s=1, max_s=3, jitter=0)
    async with running([probe()], backoff=backoff, **LONG) as system:
        ref = system.ref("probe")
        delays = []
        for _ in range(5):
            await end(ref)
            start = trio.current_time()
            while not ref.alive:
                assert await states(system) == {"probe": RESTARTING}
                await trio.sleep(0.1)
            delays.append(trio.current_time() - start)
        assert delays == pytest.approx([0, 1, 2, 3, 3], abs=0.11)


async def test_jitter_spreads_the_delay_within_its_bounds() -> None:
    """Clause S8."""
    backoff = Backoff(initial_s=1, max_s=100, jitter=0.2)
    random = seeded_ports(3, START).random
    delays = [backoff.delay_s(4, random) for _ in range(200)]
    assert 3.2 <= min(delays) < 3.4
    assert 4.6 < max(delays) <= 4.8


async def test_message_during_backoff_is_not_delivered(autojump_clock: MockClock) -> None:
    """Clauses M6, S8."""
    async with running([probe()], backoff=Backoff(jitter=0), **LONG) as system:
        ref = system.ref("probe")
        await end(ref)
        await end(ref)
        with pytest.raises(ActorDown) as caught:
            await ref.ask(Add(1))
        assert caught.value.outcome is Outcome.NOT_DELIVERED
        assert not ref.tell(Note("lost"))


# Shutdown


async def test_shutdown_by_time_kills_who_does_not_stop(autojump_clock: MockClock) -> None:
    """Clause S6."""
    diary: list[str] = []

    class Slow(Probe):
        async def stopped(self, reason: ExitReason) -> None:
            await trio.sleep(float(self.name))
            await super().stopped(reason)

    def slow(seconds: str) -> ChildSpec:
        return ChildSpec(seconds, lambda: Slow(diary, seconds), shutdown_s=2)

    async with running([slow("1"), slow("60")]):
        start = trio.current_time()
    assert diary == ["start 1", "start 60", "stop 1 shutdown"]
    assert trio.current_time() - start == pytest.approx(3)


async def test_brutal_shutdown_does_not_ask(autojump_clock: MockClock) -> None:
    """Clause S6."""
    diary: list[str] = []
    async with running([probe("a", diary, shutdown_s=BRUTAL)]) as system:
        system.ref("a").tell(Wait(60))
        await settle()
        start = trio.current_time()
    assert diary == ["start a"]
    assert trio.current_time() == start


async def test_infinite_shutdown_waits_for_the_message_in_hand(autojump_clock: MockClock) -> None:
    """Clauses L3, S6."""
    diary: list[str] = []
    async with running([probe("a", diary, shutdown_s=INFINITE)]) as system:
        system.ref("a").tell(Wait(3600))
        await settle()
        start = trio.current_time()
    assert diary == ["start a", "stop a shutdown"]
    assert trio.current_time() - start == pytest.approx(3600)


async def test_cancelling_the_block_still_stops_in_order() -> None:
    """Clause S1."""
    diary: list[str] = []
    with trio.CancelScope() as scope:
        async with running([probe("a", diary), probe("b", diary)]):
            scope.cancel()
            await trio.sleep_forever()
    assert diary == ["start a", "start b", "stop b shutdown", "stop a shutdown"]


# Administration


async def test_start_terminate_restart_delete() -> None:
    """Clause S9."""
    async with running([]) as system:
        root, ref = system.ref("root"), system.ref("probe")
        assert began(await root.ask(StartChild(probe()))).address == "root/probe"
        assert await ref.ask(Add(2)) == 2
        assert await root.ask(TerminateChild("probe")) is None
        assert not ref.alive
        assert await states(system) == {"probe": DOWN}
        assert began(await root.ask(RestartChild("probe"))).address == "root/probe"
        assert await ref.ask(Add(1)) == 1
        assert await root.ask(TerminateChild("probe")) is None
        assert await root.ask(DeleteChild("probe")) is None
        assert await states(system) == {}
        assert began(await root.ask(StartChild(probe()))).address == "root/probe"
        assert await ref.ask(Add(1)) == 1


async def test_terminated_child_is_not_restarted() -> None:
    """Clause S9."""
    async with running([probe(restart=Restart.PERMANENT)]) as system:
        assert await system.ref("root").ask(TerminateChild("probe")) is None
        await settle()
        assert await states(system) == {"probe": DOWN}


async def test_terminated_temporary_child_is_forgotten() -> None:
    """Clause S9."""
    async with running([probe(restart=Restart.TEMPORARY)]) as system:
        assert await system.ref("root").ask(TerminateChild("probe")) is None
        assert await states(system) == {}


async def test_admin_errors_of_running_and_unknown_children() -> None:
    """Clause S9."""
    async with running([probe()]) as system:
        root = system.ref("root")
        assert why(await root.ask(StartChild(probe()))) is AdminError.ALREADY_STARTED
        assert why(await root.ask(RestartChild("probe"))) is AdminError.RUNNING
        assert why(await root.ask(DeleteChild("probe"))) is AdminError.RUNNING
        assert why(await root.ask(TerminateChild("other"))) is AdminError.NOT_FOUND
        assert why(await root.ask(RestartChild("other"))) is AdminError.NOT_FOUND
        assert why(await root.ask(DeleteChild("other"))) is AdminError.NOT_FOUND
        assert why(await root.ask(StartChild())) is AdminError.INVALID_SPEC
        await root.ask(TerminateChild("probe"))
        assert why(await root.ask(StartChild(probe()))) is AdminError.ALREADY_PRESENT


async def test_admin_errors_of_a_child_between_two_incarnations(autojump_clock: MockClock) -> None:
    """Clause S9."""
    async with running([probe()], backoff=Backoff(), **LONG) as system:
        root = system.ref("root")
        for _ in range(2):
            await end(system.ref("probe"))
        assert why(await root.ask(RestartChild("probe"))) is AdminError.RESTARTING
        assert why(await root.ask(DeleteChild("probe"))) is AdminError.RESTARTING
        assert why(await root.ask(StartChild(probe()))) is AdminError.ALREADY_PRESENT


async def test_admin_start_that_fails_leaves_nothing_behind() -> None:
    """Clause S9."""
    failures, diary = ["no"], list[str]()
    async with running([]) as system:
        root = system.ref("root")
        spec = reluctant("a", failures, diary)
        assert why(await root.ask(StartChild(spec))) is AdminError.START_FAILED
        assert await states(system) == {}
        assert began(await root.ask(StartChild(spec))).address == "root/a"


async def test_admin_restart_that_fails_leaves_the_child_down() -> None:
    """Clause S9."""
    failures, diary = list[str](), list[str]()
    async with running([reluctant("a", failures, diary)]) as system:
        root = system.ref("root")
        await root.ask(TerminateChild("a"))
        failures += ["no"]
        assert why(await root.ask(RestartChild("a"))) is AdminError.START_FAILED
        assert await states(system) == {"a": DOWN}
        assert began(await root.ask(RestartChild("a"))).address == "root/a"


async def test_starting_under_a_taken_name_fails_without_harm() -> None:
    """Clause S9: the supervisor and its children live on."""
    async with running([probe("a")]) as system:
        twin = attrs.evolve(probe("twin"), name="a")
        assert why(await system.ref("root").ask(StartChild(twin))) is AdminError.ALREADY_STARTED
        assert await states(system) == {"a": RUNNING}
        assert await system.ref("a").ask(Add(1)) == 1


async def test_start_that_outlasts_its_asker_is_finished(autojump_clock: MockClock) -> None:
    """Clause S9."""

    class Slow(Probe):
        async def started(self) -> None:
            await trio.sleep(10)

    async with running([]) as system:
        root = system.ref("root")
        with pytest.raises(AskTimeout):
            await root.ask(StartChild(ChildSpec("a", Slow, name="a")), timeout_s=1)
        await trio.sleep(20)
        assert await states(system) == {"a": RUNNING}
        assert why(await root.ask(RestartChild("a"))) is AdminError.RUNNING


async def test_terminate_that_outlasts_its_asker_is_finished(autojump_clock: MockClock) -> None:
    """Clause S9."""
    async with running([probe(shutdown_s=10)]) as system:
        system.ref("probe").tell(Wait())
        await settle()
        with pytest.raises(AskTimeout):
            await system.ref("root").ask(TerminateChild("probe"), timeout_s=1)
        await trio.sleep(20)
        assert not system.ref("probe").alive
        assert await states(system) == {"probe": DOWN}


async def test_which_children_tells_in_the_order_of_start() -> None:
    """Clause S9."""
    async with running([supervisor("b", [probe("c")]), probe("a")]) as system:
        await end(system.ref("a"))
        b, a = await system.ref("root").ask(WhichChildren())
        assert (b.id, b.kind, b.is_supervisor, b.restarts) == ("b", "Supervisor", True, 0)
        assert (a.id, a.kind, a.is_supervisor, a.restarts) == ("a", "Probe", False, 1)
        assert (a.address, a.state) == ("root/a", RUNNING)
        assert a.last_exit == "crashed: RuntimeError: boom"
        assert b.last_exit is None


async def test_count_children() -> None:
    """Clause S9."""
    specs = [supervisor("b", [probe("c")]), probe("a"), probe("d")]
    async with running(specs) as system:
        await system.ref("root").ask(TerminateChild("d"))
        counts = await system.ref("root").ask(CountChildren())
        assert counts == ChildCounts(specs=3, active=2, supervisors=1, workers=2)


# simple_one_for_one


def pool(diary: list[str], **options: Any) -> ChildSpec:
    template = ChildSpec("item", lambda name: Probe(diary, name), **options)
    return supervisor("pool", strategy=Strategy.SIMPLE_ONE_FOR_ONE, template=template, intensity=5)


async def test_simple_one_for_one_starts_any_number_from_one_template() -> None:
    """Clause S4."""
    diary: list[str] = []
    async with running([pool(diary)]) as system:
        ref = system.ref("pool")
        started = [began(await ref.ask(StartChild(arguments=(name,)))).address for name in "xyz"]
        assert started == ["root/pool/item-1", "root/pool/item-2", "root/pool/item-3"]
        assert diary == ["start x", "start y", "start z"]
        counts = await ref.ask(CountChildren())
        assert counts == ChildCounts(specs=1, active=3, supervisors=0, workers=3)


async def test_simple_one_for_one_restarts_with_the_same_arguments() -> None:
    """Clause S4."""
    diary: list[str] = []
    made: list[Probe] = []

    def make(name: str) -> Probe:
        made.append(Probe(diary, name))
        return made[-1]

    template = ChildSpec("item", make)
    spec = supervisor("pool", strategy=Strategy.SIMPLE_ONE_FOR_ONE, template=template)
    async with running([spec]) as system:
        await system.ref("pool").ask(StartChild(arguments=("x",)))
        await system.ref("pool").ask(StartChild(arguments=("y",)))
        await end(made[0].ref)
        assert diary == ["start x", "start y", "stop x crashed", "start x"]
        assert (await children(system, "pool"))["item-1"].restarts == 1


async def test_simple_one_for_one_forgets_who_ended_for_good() -> None:
    """Clauses S3, S4."""
    diary: list[str] = []
    async with running([pool(diary, restart=Restart.TRANSIENT)]) as system:
        ref = system.ref("pool")
        first, _ = [began(await ref.ask(StartChild(arguments=(name,)))) for name in "xy"]
        assert await ref.ask(TerminateChild(first)) is None
        assert await states(system, "pool") == {"item-2": RUNNING}
        assert await ref.ask(TerminateChild(first)) is None


async def test_simple_one_for_one_does_not_support_restart_and_delete() -> None:
    """Clause S9."""
    async with running([pool([])]) as system:
        ref = system.ref("pool")
        await ref.ask(StartChild(arguments=("x",)))
        assert why(await ref.ask(RestartChild("item-1"))) is AdminError.SIMPLE_ONE_FOR_ONE
        assert why(await ref.ask(DeleteChild("item-1"))) is AdminError.SIMPLE_ONE_FOR_ONE
        assert why(await ref.ask(StartChild(arguments=()))) is AdminError.START_FAILED


async def test_simple_one_for_one_stops_all_at_once(autojump_clock: MockClock) -> None:
    """Clause S1."""
    stopped: list[float] = []

    class Slow(Probe):
        async def stopped(self, reason: ExitReason) -> None:
            await trio.sleep(2)
            stopped.append(trio.current_time())

    template = ChildSpec("item", Slow)
    spec = supervisor("pool", strategy=Strategy.SIMPLE_ONE_FOR_ONE, template=template)
    async with running([spec]) as system:
        for _ in range(5):
            await system.ref("pool").ask(StartChild())
        start = trio.current_time()
    assert stopped == [start + 2] * 5


async def test_stop_of_a_supervisor_from_outside_is_restarted_by_its_own() -> None:
    """Clause S3."""
    diary: list[str] = []
    async with running([supervisor("inner", [probe("a", diary)])]) as system:
        system.ref("inner").signal(Stop(SHUTDOWN))
        await settle()
        assert diary == ["start a", "stop a shutdown", "start a"]
