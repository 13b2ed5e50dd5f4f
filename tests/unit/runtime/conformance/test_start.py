"""Start of a supervisor and of its children: ignore, errors, junk, faulty specifications."""

from typing import Any

import attrs
import pytest

from runtime import (
    IGNORE,
    INFINITE,
    NORMAL,
    Actor,
    ActorSystem,
    AdminError,
    AutoShutdown,
    Backoff,
    ChildSpec,
    ChildState,
    ChildType,
    CountChildren,
    ExitReason,
    GetChildSpec,
    InvalidSpec,
    Refused,
    Restart,
    RestartChild,
    StartChild,
    Started,
    StartFailed,
    StartInfo,
    Stop,
    Strategy,
    Supervisor,
    TerminateChild,
    check_children,
)
from runtime.child import DEFAULT_SHUTDOWN_S
from tests.unit.runtime.conformance.helpers import nested, pool, reported
from tests.unit.runtime.helpers import (
    Add,
    Probe,
    Reluctant,
    began,
    probe,
    running,
    settle,
    states,
    supervisor,
    why,
)

DOWN, RUNNING = ChildState.DOWN, ChildState.RUNNING


class Ignoring(Probe):
    """Says, while it starts, that it is not to run."""

    async def started(self) -> Any:
        await super().started()
        return IGNORE


class Informing(Probe):
    """Has something to tell to who starts it."""

    async def started(self) -> Any:
        return StartInfo("port 4711")


class Failing(Probe):
    """Does not start."""

    async def started(self) -> None:
        raise LookupError("no port")


class Junk(Probe):
    """Returns what `started` may not return."""

    async def started(self) -> Any:
        return 42


IGNORING: list[Any] = [lambda: IGNORE, Ignoring]


async def test_start_normal() -> None:
    """Clause S1."""
    async with nested() as system:
        assert system.ref("sup").alive
        assert await states(system, "sup") == {}


async def test_start_ignore_of_the_supervisor() -> None:
    """Clause S12."""

    class Nobody(Supervisor):
        async def started(self) -> Any:
            return IGNORE

    async with running([ChildSpec("sup", Nobody), probe("a")]) as system:
        assert await states(system) == {"sup": DOWN, "a": RUNNING}


async def test_start_ignore_of_the_root() -> None:
    """Clause S12: a tree without a root has not started."""
    for start in IGNORING:
        with pytest.raises(StartFailed):
            async with ActorSystem().run(ChildSpec("root", start)):
                pytest.fail("the block must not run")


@pytest.mark.parametrize("start", IGNORING)
async def test_start_ignore_child_keeps_its_specification(start: Any) -> None:
    """Clause S12."""
    async with running([ChildSpec("a", start), probe("b")]) as system:
        assert await states(system) == {"a": DOWN, "b": RUNNING}
        counts = await system.ref("root").ask(CountChildren())
        assert (counts.specs, counts.active, counts.workers) == (2, 1, 2)


@pytest.mark.parametrize("start", IGNORING)
async def test_start_ignore_child_by_start_child(start: Any) -> None:
    """Clause S12."""
    async with running([]) as system:
        answer = await system.ref("root").ask(StartChild(ChildSpec("a", start)))
        assert answer == Started(None)
        assert isinstance(answer, Started)
        assert answer.ignored
        assert await states(system) == {"a": DOWN}
        again = await system.ref("root").ask(StartChild(ChildSpec("a", start)))
        assert why(again) is AdminError.ALREADY_PRESENT
        assert await system.ref("root").ask(RestartChild("a")) == Started(None)


@pytest.mark.parametrize("start", IGNORING)
async def test_start_ignore_temporary_child_is_not_kept(start: Any) -> None:
    """Clause S12."""
    child = ChildSpec("a", start, Restart.TEMPORARY)
    async with running([child, probe("b")]) as system:
        assert await states(system) == {"b": RUNNING}
        assert await system.ref("root").ask(StartChild(child)) == Started(None)
        assert await states(system) == {"b": RUNNING}


@pytest.mark.parametrize("start", IGNORING)
@pytest.mark.parametrize("restart", list(Restart))
async def test_start_ignore_child_of_a_template_is_not_kept(start: Any, restart: Restart) -> None:
    """Clauses S12, S16: and the supervisor stops without trouble afterwards."""
    async with nested(**pool(ChildSpec("item", start, restart))) as system:
        assert await system.ref("sup").ask(StartChild()) == Started(None)
        assert await states(system, "sup") == {}
        assert await system.ref("root").ask(TerminateChild("sup")) is None
    assert reported(system) == []


async def test_started_is_called_but_stopped_is_not_when_ignored() -> None:
    """Clause S12."""
    diary: list[str] = []
    async with running([ChildSpec("a", lambda: Ignoring(diary, "a"), name="a")]) as system:
        assert not system.ref("a").alive
    assert diary == ["start a"]


@pytest.mark.parametrize("start", [Failing, lambda: 1 / 0])
async def test_start_error_of_a_child_fails_the_supervisor(start: Any) -> None:
    """Clauses S2, S17."""
    diary: list[str] = []
    async with running([]) as system:
        spec = supervisor("sup", [probe("a", diary), ChildSpec("b", start), probe("c", diary)])
        answer = await system.ref("root").ask(StartChild(spec))
        assert isinstance(answer, Refused)
        assert answer.why is AdminError.START_FAILED
        assert isinstance(answer.error, StartFailed)
        assert diary == ["start a", "stop a shutdown"]
        assert [line[:2] for line in reported(system)] == [("start_error", "b")]


async def test_start_under_a_name_that_is_taken_fails_the_supervisor() -> None:
    """Clauses S2, S17."""
    twin = attrs.evolve(probe("twin"), name="a")
    async with running([probe("a")]) as system:
        answer = await system.ref("root").ask(StartChild(supervisor("sup", [probe("b"), twin])))
        assert why(answer) is AdminError.START_FAILED
        assert [line[:2] for line in reported(system)] == [("start_error", "twin")]
        assert not system.ref("b").alive


@pytest.mark.parametrize("start", [Junk, lambda: None, lambda: 42, lambda: Probe])
async def test_start_that_returns_junk_is_an_error(start: Any) -> None:
    """Clause S12."""
    async with running([]) as system:
        answer = await system.ref("root").ask(StartChild(ChildSpec("a", start)))
        assert why(answer) is AdminError.START_FAILED
        assert await states(system) == {}


async def test_start_that_is_a_coroutine_function_is_an_error() -> None:
    """Clause S12."""

    async def start() -> Actor:
        return Probe()

    async with running([]) as system:
        spec = ChildSpec("a", start)  # type: ignore[arg-type]
        answer = await system.ref("root").ask(StartChild(spec))
        assert why(answer) is AdminError.START_FAILED


async def test_start_child_returns_the_error() -> None:
    """Clauses S9, S17: to the asker; the supervisor reports nothing."""
    async with running([]) as system:
        answer = await system.ref("root").ask(StartChild(ChildSpec("a", Failing)))
        assert isinstance(answer, Refused)
        assert answer.why is AdminError.START_FAILED
        assert isinstance(answer.error, LookupError)
        assert "no port" in answer.detail
        assert reported(system) == []


async def test_extra_return_reaches_who_starts_the_child() -> None:
    """Clause S12."""
    async with running([]) as system:
        root = system.ref("root")
        answer = await root.ask(StartChild(ChildSpec("a", Informing, name="a")))
        assert isinstance(answer, Started)
        assert answer.info == "port 4711"
        await root.ask(TerminateChild("a"))
        answer = await root.ask(RestartChild("a"))
        assert isinstance(answer, Started)
        assert answer.info == "port 4711"
        assert answer.ref is not None
        assert await answer.ref.ask(Add(1)) == 1


async def test_extra_return_of_a_template() -> None:
    """Clauses S12, S16."""
    async with nested(**pool(ChildSpec("item", Informing))) as system:
        answer = await system.ref("sup").ask(StartChild())
        assert isinstance(answer, Started)
        assert answer.info == "port 4711"


async def test_default_values_of_a_specification() -> None:
    """Clause S9: as the supervisor tells them."""
    specs = [
        ChildSpec("worker", Probe),
        ChildSpec("supervisor", Supervisor, type=ChildType.SUPERVISOR),
    ]
    async with running(specs) as system:
        worker, above = [await system.ref("root").ask(GetChildSpec(spec.id)) for spec in specs]
        assert isinstance(worker, ChildSpec)
        assert worker.restart is Restart.PERMANENT
        assert worker.shutdown_s == DEFAULT_SHUTDOWN_S == 5.0
        assert not worker.significant
        assert isinstance(above, ChildSpec)
        assert above.shutdown_s == INFINITE


FAULTY: list[Any] = [
    "no specification",
    ChildSpec("", Probe),
    ChildSpec(7, Probe),  # type: ignore[arg-type]
    ChildSpec("a", "Probe"),  # type: ignore[arg-type]
    ChildSpec("a", Probe, "permanent"),  # type: ignore[arg-type]
    ChildSpec("a", Probe, type="worker"),  # type: ignore[arg-type]
    ChildSpec("a", Probe, shutdown_s=-1),
    ChildSpec("a", Probe, shutdown_s=float("nan")),
    ChildSpec("a", Probe, shutdown_s="brutal"),  # type: ignore[arg-type]
    ChildSpec("a", Probe, start_timeout_s=0),
    ChildSpec("a", Probe, mailbox=5),  # type: ignore[arg-type]
    ChildSpec("a", Probe, name=5),  # type: ignore[arg-type]
    ChildSpec("a", Probe, significant="yes"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("spec", FAULTY)
async def test_faulty_specifications_are_refused(spec: Any) -> None:
    """Clause S13."""
    with pytest.raises(InvalidSpec):
        check_children([spec])
    with pytest.raises(InvalidSpec):
        Supervisor([spec])
    async with running([probe("b")]) as system:
        answer = await system.ref("root").ask(StartChild(spec))
        assert why(answer) is AdminError.INVALID_SPEC
        assert await states(system) == {"b": RUNNING}


FLAGS: list[dict[str, Any]] = [
    {"strategy": "one_for_one"},
    {"intensity": -1},
    {"intensity": 1.5},
    {"intensity": True},
    {"period_s": 0},
    {"period_s": -1},
    {"period_s": float("inf")},
    {"period_s": "5"},
    {"auto_shutdown": "never"},
    {"backoff": 5},
    {"backoff": Backoff(initial_s=-1)},
    {"backoff": Backoff(max_s=float("inf"))},
    {"backoff": Backoff(initial_s=float("nan"))},
    {"backoff": Backoff(jitter=1.5)},
]


@pytest.mark.parametrize("flags", FLAGS)
async def test_faulty_flags_are_refused(flags: dict[str, Any]) -> None:
    """Clause S13."""
    with pytest.raises(InvalidSpec):
        Supervisor(**flags)


async def test_faulty_supervisor_below_is_a_failed_start() -> None:
    """Clauses S12, S13."""
    async with running([]) as system:
        spec = ChildSpec("sup", lambda: Supervisor(intensity=-1))
        answer = await system.ref("root").ask(StartChild(spec))
        assert isinstance(answer, Refused)
        assert isinstance(answer.error, InvalidSpec)


async def test_children_may_be_given_as_anything_that_lists_them() -> None:
    """Clause S13: they are read once. What lists nothing is refused."""
    async with nested(probe(id_) for id_ in "ab") as system:
        assert await states(system, "sup") == {"a": RUNNING, "b": RUNNING}
    for junk in (7, probe("a"), None):
        with pytest.raises(InvalidSpec):
            check_children(junk)  # type: ignore[arg-type]
        with pytest.raises(InvalidSpec):
            Supervisor(junk)  # type: ignore[arg-type]
    with pytest.raises(InvalidSpec):
        check_children([], "never")  # type: ignore[arg-type]


async def test_root_that_cannot_be_made_or_does_not_come_up() -> None:
    """Clauses S12, S13: a root fails as any child does."""

    def broken() -> Probe:
        raise KeyError("no plan")

    for start in (broken, lambda: Reluctant(["no"]), lambda: "junk"):
        with pytest.raises(StartFailed):
            async with ActorSystem().run(ChildSpec("root", start)):  # type: ignore[arg-type]
                pytest.fail("the block must not run")
    for spec in (ChildSpec("", Supervisor), ChildSpec("root", lambda: Supervisor(intensity=-1))):
        with pytest.raises(InvalidSpec):
            async with ActorSystem().run(spec):
                pytest.fail("the block must not run")


async def test_duplicate_ids_are_refused() -> None:
    """Clause S13."""
    with pytest.raises(InvalidSpec, match="same id"):
        check_children([probe("a"), probe("b"), probe("a")])


async def test_template_and_children_do_not_go_together() -> None:
    """Clause S13."""
    with pytest.raises(InvalidSpec):
        Supervisor([probe()], strategy=Strategy.SIMPLE_ONE_FOR_ONE, template=probe())


async def test_check_children_takes_good_ones() -> None:
    """Clause S13."""
    good = attrs.evolve(probe("a", restart=Restart.TRANSIENT), significant=True)
    check_children([good, probe("b")])
    check_children([good, probe("b")], AutoShutdown.ANY_SIGNIFICANT)


async def test_crash_of_a_started_child_while_the_next_one_starts() -> None:
    """Clause S3: it is restarted when all have started."""
    diary: list[str] = []

    class Sloppy(Probe):
        async def started(self) -> None:
            self.system.ref("a").signal(Stop(NORMAL))
            await settle()
            await super().started()

    children = [probe("a", diary), ChildSpec("b", lambda: Sloppy(diary, "b"))]
    async with running(children) as system:
        await settle()
        assert diary == ["start a", "stop a normal", "start b", "start a"]
        assert await states(system) == {"a": RUNNING, "b": RUNNING}
        assert began(await system.ref("root").ask(StartChild(probe("c")))).alive


async def test_exception_without_a_text_does_not_hurt_the_supervisor() -> None:
    """Clause S17."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError("no text")

    class Muted(Probe):
        async def stopped(self, reason: ExitReason) -> None:
            raise Mute

    async with running([ChildSpec("a", Muted, name="a")]) as system:
        system.ref("a").signal(Stop(NORMAL))
        await settle()
        assert await states(system) == {"a": RUNNING}
