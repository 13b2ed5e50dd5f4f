"""Children of a template: their arguments, their end, and a hundred thousand of them."""

import gc
import weakref
from statistics import median
from time import process_time

import attrs
import pytest
import trio

from runtime import (
    IGNORE,
    Actor,
    AdminError,
    ChildCounts,
    ChildSpec,
    ChildState,
    CountChildren,
    Ignore,
    Restart,
    StartChild,
    Started,
    TerminateChild,
)
from tests.unit.runtime.conformance.helpers import kinds, nested, pool, start
from tests.unit.runtime.helpers import (
    Probe,
    Reluctant,
    Run,
    began,
    crash,
    end,
    probe,
    settle,
    states,
    why,
)


async def test_restart_with_the_same_arguments_and_reference() -> None:
    """Clauses S10, S16."""
    diary: list[str] = []
    template = ChildSpec("item", lambda name: Probe(diary, name))
    async with nested(**pool(template, intensity=5)) as system:
        ref, _ = await start(system.ref("sup"), "x"), await start(system.ref("sup"), "y")
        await end(ref)
        assert diary == ["start x", "start y", "stop x crashed", "start x"]
        assert ref.alive


async def test_start_with_wrong_arguments_is_an_error() -> None:
    """Clause S16: nothing is kept of it."""
    async with nested(**pool(ChildSpec("item", lambda name: Probe(None, name)))) as system:
        answer = await system.ref("sup").ask(StartChild(), timeout_s=600)
        assert why(answer) is AdminError.START_FAILED
        assert await system.ref("sup").ask(CountChildren()) == ChildCounts(1, 0, 0, 0)


async def test_restart_that_is_ignored_forgets_the_child() -> None:
    """Clauses S12, S16."""
    answers: list[Actor | Ignore] = [Probe(), IGNORE]
    template = ChildSpec("item", lambda: answers.pop(0))
    async with nested(**pool(template, intensity=5)) as system:
        await end(await start(system.ref("sup")))
        assert await states(system, "sup") == {}


async def test_failed_restart_is_repeated() -> None:
    """Clauses S7, S16, S17."""
    failures: list[str] = []
    template = ChildSpec("item", lambda: Reluctant(failures))
    async with nested(**pool(template, intensity=5)) as system:
        ref = await start(system.ref("sup"))
        failures.append("no")
        await end(ref)
        await settle()
        assert ref.alive
        assert [kind.value for kind in kinds(system)] == ["child_terminated", "start_error"]


async def test_arguments_of_temporary_children_are_not_kept() -> None:
    """Clause S16."""

    class Big:
        """What an argument holds on to."""

    template = ChildSpec("item", lambda _: Probe(), Restart.TEMPORARY)
    async with nested(**pool(template)) as system:
        big = Big()
        gone = weakref.ref(big)
        await start(system.ref("sup"), big)
        del big
        await settle()
        gc.collect()
        assert gone() is None


async def test_nothing_is_kept_of_children_that_ended() -> None:
    """Clause S16."""
    made: list[weakref.ref[Probe]] = []

    def make() -> Probe:
        actor = Probe()
        made.append(weakref.ref(actor))
        return actor

    async with nested(**pool(ChildSpec("item", make, Restart.TEMPORARY))) as system:
        for _ in range(3):
            ref = await start(system.ref("sup"))
            await end(ref, _stop)
            assert await system.ref("sup").ask(CountChildren()) == ChildCounts(1, 0, 0, 0)
        await settle()
        gc.collect()
        assert [each() for each in made] == [None] * 3


async def _stop(actor: Probe) -> None:
    actor.stop()


async def test_template_with_a_name_has_room_for_one() -> None:
    """Clause S9."""
    async with nested(**pool(probe("item"))) as system:
        first = await start(system.ref("sup"))
        answer = await system.ref("sup").ask(StartChild(), timeout_s=600)
        assert why(answer) is AdminError.ALREADY_STARTED
        assert await system.ref("sup").ask(TerminateChild(first)) is None
        assert (await start(system.ref("sup"))).alive


async def test_crash_of_one_leaves_the_others_alone() -> None:
    """Clause S16."""
    async with nested(**pool(ChildSpec("item", Probe), intensity=5)) as system:
        refs = [await start(system.ref("sup")) for _ in range(3)]
        refs[1].tell(Run(crash))
        await settle()
        assert set((await states(system, "sup")).values()) == {ChildState.RUNNING}


class Idle(Actor):
    """Does nothing, in little room."""

    child_tasks = False


@attrs.frozen
class Costs:
    """Scheduler steps, which stand for time without measuring it."""

    starting: int
    stopping: int


class Steps(trio.abc.Instrument):
    """Counts the steps of all tasks."""

    def __init__(self) -> None:
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += 1


async def costs(children: int) -> Costs:
    steps = Steps()
    trio.lowlevel.add_instrument(steps)
    try:
        async with nested(**pool(ChildSpec("item", Idle, Restart.TEMPORARY))) as system:
            before = steps.count
            for _ in range(children):
                answer = await system.ref("sup").ask(StartChild(), timeout_s=600)
                assert isinstance(answer, Started)
            started = steps.count
            counts = await system.ref("sup").ask(CountChildren(), timeout_s=600)
            assert counts == ChildCounts(1, children, 0, children)
            assert await system.ref("root").ask(TerminateChild("sup"), timeout_s=600) is None
            return Costs(started - before, steps.count - started)
    finally:
        trio.lowlevel.remove_instrument(steps)


async def test_scale_many_temporary_children_in_linear_steps() -> None:
    """Clause S16."""
    few, many = await costs(50), await costs(500)
    assert many.starting <= 10.5 * few.starting
    assert many.stopping <= 10.5 * few.stopping


async def cost_of_terminating_s(children: int) -> float:
    """Of the processor's time, the median of those that were started last."""
    async with nested(**pool(ChildSpec("item", Idle, Restart.TEMPORARY))) as system:
        sup, costs_s = system.ref("sup"), []
        refs = [began(await sup.ask(StartChild(), timeout_s=600)) for _ in range(children)]
        for ref in refs[-60:]:
            before = process_time()
            assert await sup.ask(TerminateChild(ref)) is None
            costs_s.append(process_time() - before)
        return median(costs_s)


@pytest.mark.long
async def test_scale_terminating_by_reference_costs_the_same_among_many() -> None:
    """Clause S16: nobody looks through all of them."""
    few, many = await cost_of_terminating_s(60), await cost_of_terminating_s(4_000)
    assert many <= 2 * few


@pytest.mark.long
async def test_scale_a_hundred_thousand_children() -> None:
    """Clause S16."""
    few, many = await costs(1_000), await costs(100_000)
    assert many.starting <= 105 * few.starting
    assert many.stopping <= 105 * few.stopping
