"""Administration: start, terminate, restart, delete, get the specification, which, count."""

from typing import Any

import attrs
import pytest
import structlog
import trio
from trio.testing import MockClock

from runtime import (
    AdminError,
    Backoff,
    ChildCounts,
    ChildSpec,
    ChildState,
    ChildType,
    CountChildren,
    DeleteChild,
    GetChildSpec,
    Refused,
    Restart,
    RestartChild,
    StartChild,
    Started,
    Supervisor,
    TerminateChild,
    WhichChildren,
)
from tests.unit.runtime.conformance.helpers import LONG, nested, pool, start
from tests.unit.runtime.helpers import (
    Add,
    Note,
    Probe,
    Reluctant,
    began,
    children,
    end,
    end_normally,
    probe,
    running,
    settle,
    states,
    supervisor,
    why,
)

RUNNING, RESTARTING, DOWN = ChildState.RUNNING, ChildState.RESTARTING, ChildState.DOWN


async def test_child_adm_of_a_running_child() -> None:
    """Clause S9."""
    async with running([probe("a")]) as system:
        root = system.ref("root")
        assert why(await root.ask(DeleteChild("a"))) is AdminError.RUNNING
        assert why(await root.ask(RestartChild("a"))) is AdminError.RUNNING
        answer = await root.ask(StartChild(probe("a")))
        assert isinstance(answer, Refused)
        assert answer.why is AdminError.ALREADY_STARTED
        assert answer.ref is not None
        assert await answer.ref.ask(Add(2)) == 2


async def test_child_adm_of_a_terminated_child() -> None:
    """Clause S9."""
    async with running([probe("a")]) as system:
        root = system.ref("root")
        assert await root.ask(TerminateChild("a")) is None
        assert await root.ask(TerminateChild("a")) is None
        assert why(await root.ask(StartChild(probe("a")))) is AdminError.ALREADY_PRESENT
        assert began(await root.ask(RestartChild("a"))).address == "root/a"
        assert await root.ask(TerminateChild("a")) is None
        assert await root.ask(DeleteChild("a")) is None
        assert why(await root.ask(DeleteChild("a"))) is AdminError.NOT_FOUND
        assert began(await root.ask(StartChild(probe("a")))).alive


async def test_child_adm_of_an_unknown_child() -> None:
    """Clause S9."""
    async with running([]) as system:
        for message in (
            TerminateChild("b"),
            RestartChild("b"),
            DeleteChild("b"),
            GetChildSpec("b"),
        ):
            assert why(await system.ref("root").ask(message)) is AdminError.NOT_FOUND


async def test_child_adm_of_a_restarting_child(autojump_clock: MockClock) -> None:
    """Clause S9."""
    async with running([probe("a")], backoff=Backoff(jitter=0), **LONG) as system:
        root = system.ref("root")
        for _ in range(2):
            await end(system.ref("a"))
        assert await states(system) == {"a": RESTARTING}
        assert why(await root.ask(RestartChild("a"))) is AdminError.RESTARTING
        assert why(await root.ask(DeleteChild("a"))) is AdminError.RESTARTING
        assert why(await root.ask(StartChild(probe("a")))) is AdminError.ALREADY_PRESENT
        assert await root.ask(TerminateChild("a")) is None
        await trio.sleep(60)
        assert await states(system) == {"a": DOWN}
        assert await root.ask(DeleteChild("a")) is None


async def test_child_adm_of_a_transient_child_that_ended() -> None:
    """Clause S9."""
    async with running([probe("a", restart=Restart.TRANSIENT)]) as system:
        root = system.ref("root")
        await end(system.ref("a"), end_normally)
        assert why(await root.ask(StartChild(probe("a")))) is AdminError.ALREADY_PRESENT
        assert began(await root.ask(RestartChild("a"))).alive


async def test_child_adm_of_a_temporary_child() -> None:
    """Clauses S3, S9: nothing is kept of it."""
    spec = probe("a", restart=Restart.TEMPORARY)
    async with running([spec]) as system:
        root = system.ref("root")
        assert await root.ask(TerminateChild("a")) is None
        assert why(await root.ask(RestartChild("a"))) is AdminError.NOT_FOUND
        assert began(await root.ask(StartChild(spec))).alive
        await end(system.ref("a"))
        assert why(await root.ask(DeleteChild("a"))) is AdminError.NOT_FOUND
        assert why(await root.ask(GetChildSpec("a"))) is AdminError.NOT_FOUND


async def test_child_adm_by_reference_is_for_templates() -> None:
    """Clause S9: with several specifications the id is what counts, but for who only looks."""
    spec = probe("a")
    async with running([spec, supervisor("other", [probe("b")])]) as system:
        root, ref = system.ref("root"), system.ref("a")
        assert why(await root.ask(TerminateChild(ref))) is AdminError.NOT_FOUND
        assert await root.ask(GetChildSpec(ref)) == spec
        assert why(await root.ask(GetChildSpec(system.ref("b")))) is AdminError.NOT_FOUND


async def test_references_to_one_child_are_equal() -> None:
    """Clause S10: whoever gave them out."""
    async with running([probe("a"), probe("b")]) as system:
        a, b = await system.ref("root").ask(WhichChildren())
        refused = await system.ref("root").ask(StartChild(probe("a")))
        assert isinstance(refused, Refused)
        assert refused.ref == a.ref == system.ref("a") != b.ref
        assert len({a.ref, b.ref, system.ref("a"), system.ref("b")}) == 2
        await end(a.ref)
        assert (await system.ref("root").ask(WhichChildren()))[0].ref == a.ref


JUNK: tuple[Any, ...] = (7, None, [], {}, ("a",))


@pytest.mark.parametrize("junk", JUNK)
async def test_child_adm_of_what_is_no_id(junk: Any) -> None:
    """Clause S9: it is not found, and hurts nobody."""
    messages = (TerminateChild(junk), RestartChild(junk), DeleteChild(junk), GetChildSpec(junk))
    async with running([probe("a")]) as system, nested(**pool(ChildSpec("item", Probe))) as other:
        for message in messages:
            assert why(await system.ref("root").ask(message)) is AdminError.NOT_FOUND
            assert isinstance(await other.ref("sup").ask(message), Refused)
        assert (await children(system))["a"].restarts == 0


@pytest.mark.parametrize("junk", [Note("stray"), Add(1)])
async def test_message_that_no_supervisor_knows_is_logged(junk: Any) -> None:
    """Clause S9: whoever sends it by mistake ends nobody."""
    async with running([supervisor("inner", [probe("a")])]) as system:
        inner = system.ref("inner")
        with structlog.testing.capture_logs() as entries:
            if isinstance(junk, Note):
                assert inner.tell(junk)
            else:
                with pytest.raises(TypeError, match="Supervisor does not understand Add"):
                    await inner.ask(junk)
            await settle()
        assert [(entry["event"], entry["message"]) for entry in entries] == [
            ("unexpected_message", type(junk).__name__)
        ]
        assert await states(system, "inner") == {"a": RUNNING}
        assert (await children(system))["inner"].restarts == 0


async def test_child_adm_simple_by_id_is_refused() -> None:
    """Clauses S9, S16."""
    async with nested(**pool(ChildSpec("item", Probe))) as system:
        sup = system.ref("sup")
        await start(sup)
        for message in (TerminateChild("item-1"), RestartChild("item-1"), DeleteChild("item-1")):
            assert why(await sup.ask(message)) is AdminError.SIMPLE_ONE_FOR_ONE
        answer = await sup.ask(StartChild(probe("a")))
        assert why(answer) is AdminError.SIMPLE_ONE_FOR_ONE


async def test_child_adm_simple_by_reference() -> None:
    """Clauses S9, S16."""
    template = ChildSpec("item", Probe)
    async with nested(**pool(template)) as system:
        sup = system.ref("sup")
        first, second = await start(sup), await start(sup)
        assert await sup.ask(GetChildSpec(first)) == template
        assert await sup.ask(GetChildSpec("item")) == template
        assert await sup.ask(TerminateChild(first)) is None
        assert not first.alive
        assert second.alive
        assert await sup.ask(CountChildren()) == ChildCounts(1, 1, 0, 1)


async def test_child_adm_simple_of_one_that_is_no_more() -> None:
    """Clauses S9, S16: terminating it again is no error, a stranger that lives is not found."""
    template = ChildSpec("item", Probe, Restart.TEMPORARY)
    async with nested(**pool(template)) as system:
        sup = system.ref("sup")
        ref = await start(sup)
        await end(ref)
        assert await sup.ask(TerminateChild(ref)) is None
        assert await sup.ask(GetChildSpec(ref)) == template
        for message in (TerminateChild(system.ref("root")), GetChildSpec(system.ref("root"))):
            assert why(await sup.ask(message)) is AdminError.NOT_FOUND
        assert why(await sup.ask(GetChildSpec("other"))) is AdminError.NOT_FOUND


async def test_get_child_spec() -> None:
    """Clause S9."""
    spec = probe("a", restart=Restart.TRANSIENT, shutdown_s=7)
    async with running([spec]) as system:
        assert await system.ref("root").ask(GetChildSpec("a")) == spec


async def test_which_children_of_every_state(autojump_clock: MockClock) -> None:
    """Clause S9."""
    specs = [probe("a"), probe("b"), supervisor("c")]
    async with running(specs, backoff=Backoff(jitter=0), **LONG) as system:
        for _ in range(2):
            await end(system.ref("a"))
        await system.ref("root").ask(TerminateChild("b"))
        a, b, c = await system.ref("root").ask(WhichChildren())
        assert (a.id, a.state, a.kind, a.is_supervisor) == ("a", RESTARTING, "Probe", False)
        assert (b.id, b.state, b.last_exit) == ("b", DOWN, "shutdown")
        assert (c.id, c.state, c.is_supervisor) == ("c", RUNNING, True)
        assert c.ref.alive
        assert not b.ref.alive


async def test_which_children_of_a_template() -> None:
    """Clauses S9, S16."""
    async with nested(**pool(ChildSpec("item", Probe))) as system:
        refs = [await start(system.ref("sup")) for _ in range(3)]
        statuses = await system.ref("sup").ask(WhichChildren())
        assert [status.address for status in statuses] == [ref.address for ref in refs]


async def test_count_children() -> None:
    """Clause S9."""
    specs = [probe("a"), probe("b"), supervisor("c")]
    async with running(specs) as system:
        root = system.ref("root")
        assert await root.ask(CountChildren()) == ChildCounts(3, 3, 1, 2)
        await root.ask(TerminateChild("a"))
        await root.ask(TerminateChild("c"))
        assert await root.ask(CountChildren()) == ChildCounts(3, 1, 1, 2)
        await root.ask(DeleteChild("c"))
        assert await root.ask(CountChildren()) == ChildCounts(2, 1, 0, 2)


async def test_count_children_by_the_declared_type() -> None:
    """Clause S9."""
    async with running([ChildSpec("a", Probe, type=ChildType.SUPERVISOR)]) as system:
        assert await system.ref("root").ask(CountChildren()) == ChildCounts(1, 1, 1, 0)


async def test_count_children_of_a_template_of_supervisors() -> None:
    """Clauses S9, S16."""
    template = ChildSpec("item", Supervisor, type=ChildType.SUPERVISOR)
    async with nested(**pool(template)) as system:
        for _ in range(3):
            await start(system.ref("sup"))
        assert await system.ref("sup").ask(CountChildren()) == ChildCounts(1, 3, 3, 0)


async def test_count_restarting_children(autojump_clock: MockClock) -> None:
    """Clauses S8, S9, S16: a restarting one is counted, but not as active."""
    options = pool(ChildSpec("item", Probe), backoff=Backoff(jitter=0), **LONG)
    async with nested(**options) as system:
        sup = system.ref("sup")
        first, _ = await start(sup), await start(sup)
        for _ in range(2):
            await end(first)
        assert await sup.ask(CountChildren()) == ChildCounts(1, 1, 0, 2)
        assert await sup.ask(TerminateChild(first)) is None
        assert await sup.ask(CountChildren()) == ChildCounts(1, 1, 0, 1)
        await trio.sleep(60)
        assert not first.alive


async def test_restart_child_that_fails_stays_down() -> None:
    """Clause S9."""
    failures: list[str] = []
    async with running([ChildSpec("a", lambda: Reluctant(failures))]) as system:
        root = system.ref("root")
        await root.ask(TerminateChild("a"))
        failures.append("no")
        assert why(await root.ask(RestartChild("a"))) is AdminError.START_FAILED
        assert await states(system) == {"a": DOWN}


async def test_start_child_under_a_name_that_is_taken() -> None:
    """Clause S9: the answer says by whom."""
    async with running([probe("a")]) as system:
        twin = attrs.evolve(probe("twin"), name="a")
        answer = await system.ref("root").ask(StartChild(twin))
        assert isinstance(answer, Refused)
        assert answer.why is AdminError.ALREADY_STARTED
        assert answer.ref is not None
        assert answer.ref.address == "root/a"
        assert await states(system) == {"a": RUNNING}


async def test_restart_child_whose_name_was_taken_meanwhile() -> None:
    """Clause S9: never do two actors share an address."""
    async with running([probe("a")]) as system:
        root = system.ref("root")
        await root.ask(TerminateChild("a"))
        twin = attrs.evolve(probe("twin"), name="a")
        assert began(await root.ask(StartChild(twin))).alive
        assert why(await root.ask(RestartChild("a"))) is AdminError.ALREADY_STARTED
        assert await states(system) == {"a": DOWN, "twin": RUNNING}
        await root.ask(TerminateChild("twin"))
        assert began(await root.ask(RestartChild("a"))).address == "root/a"


async def test_child_that_was_added_is_last_in_order() -> None:
    """Clause S1."""
    diary: list[str] = []
    async with running([probe("a", diary), probe("b", diary)]) as system:
        await system.ref("root").ask(StartChild(probe("c", diary)))
        assert list(await states(system)) == ["a", "b", "c"]
    assert diary[3:] == ["stop c shutdown", "stop b shutdown", "stop a shutdown"]


async def test_restarted_child_keeps_its_place_in_the_order() -> None:
    """Clause S1."""
    async with running([probe("a"), probe("b")]) as system:
        root = system.ref("root")
        await root.ask(TerminateChild("a"))
        await root.ask(RestartChild("a"))
        assert list(await states(system)) == ["a", "b"]


@pytest.mark.parametrize("message", [StartChild(probe("b")), RestartChild("a")])
async def test_answer_to_a_start_names_the_reference(
    message: StartChild | RestartChild,
) -> None:
    """Clause S9."""
    async with running([probe("a")]) as system:
        await system.ref("root").ask(TerminateChild("a"))
        answer = await system.ref("root").ask(message)
        assert isinstance(answer, Started)
        assert answer.ref is not None
        assert await answer.ref.ask(Add(1)) == 1


@pytest.mark.parametrize(
    "message", [StartChild(probe("b")), TerminateChild("a"), RestartChild("a"), DeleteChild("a")]
)
async def test_operation_whose_asker_was_cancelled_is_finished_or_was_not_begun(
    message: StartChild | TerminateChild | RestartChild | DeleteChild,
) -> None:
    """Clauses D6, S9."""
    async with running([probe("a")]) as system:
        with trio.CancelScope() as scope:
            scope.cancel()
            await system.ref("root").ask(message)
        assert scope.cancelled_caught
        await settle()
        present = await children(system)
        assert all(status.state is not RESTARTING for status in present.values())
