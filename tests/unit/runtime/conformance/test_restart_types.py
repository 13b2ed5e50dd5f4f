"""Restart types against the kinds of end, and what the supervisor reports of each."""

import pytest

from runtime import ChildSpec, ChildState, Restart, Strategy
from tests.unit.runtime.conformance.helpers import (
    EXPECTED,
    UNEXPECTED,
    Way,
    end_with_shutdown_term,
    fate,
    kinds,
    nested,
    pool,
    reported,
    start,
)
from tests.unit.runtime.helpers import (
    Add,
    Probe,
    crash,
    end,
    end_normally,
    end_with_shutdown,
    kill,
    probe,
    running,
    states,
)

RUNNING, DOWN = ChildState.RUNNING, ChildState.DOWN
REASON: dict[Way, str] = {
    end_normally: "normal",
    end_with_shutdown: "shutdown",
    end_with_shutdown_term: "shutdown: term",
    crash: "crashed: RuntimeError: boom",
    kill: "killed",
}
ALL = (*EXPECTED, *UNEXPECTED)


@pytest.mark.parametrize("how", ALL)
async def test_permanent_is_restarted_after_any_end(how: Way) -> None:
    """Clauses S3, S17."""
    async with running([probe("a", restart=Restart.PERMANENT)]) as system:
        await end(system.ref("a"), how)
        assert await states(system) == {"a": RUNNING}
        assert reported(system) == [("child_terminated", "a", REASON[how])]


@pytest.mark.parametrize("how", EXPECTED)
async def test_transient_normal_and_shutdown_stay_down(how: Way) -> None:
    """Clauses S3, S17."""
    async with running([probe("a", restart=Restart.TRANSIENT)]) as system:
        await end(system.ref("a"), how)
        assert await states(system) == {"a": DOWN}
        assert reported(system) == []


@pytest.mark.parametrize("how", UNEXPECTED)
async def test_transient_abnormal_is_restarted(how: Way) -> None:
    """Clauses S3, S17."""
    async with running([probe("a", restart=Restart.TRANSIENT)]) as system:
        await end(system.ref("a"), how)
        assert await states(system) == {"a": RUNNING}
        assert reported(system) == [("child_terminated", "a", REASON[how])]


@pytest.mark.parametrize("how", EXPECTED)
async def test_temporary_normal_and_shutdown_are_forgotten(how: Way) -> None:
    """Clauses S3, S17."""
    async with running([probe("a", restart=Restart.TEMPORARY)]) as system:
        await end(system.ref("a"), how)
        assert await states(system) == {}
        assert reported(system) == []


@pytest.mark.parametrize("how", UNEXPECTED)
async def test_temporary_abnormal_is_reported_and_forgotten(how: Way) -> None:
    """Clauses S3, S17."""
    async with running([probe("a", restart=Restart.TEMPORARY)]) as system:
        await end(system.ref("a"), how)
        assert await states(system) == {}
        assert reported(system) == [("child_terminated", "a", REASON[how])]


@pytest.mark.parametrize("how", ALL)
@pytest.mark.parametrize("restart", list(Restart))
async def test_restart_types_of_a_template(restart: Restart, how: Way) -> None:
    """Clauses S3, S16."""
    async with nested(**pool(ChildSpec("item", Probe, restart), intensity=5)) as system:
        ref = await start(system.ref("sup"))
        await end(ref, how)
        again = restart is Restart.PERMANENT or (restart is Restart.TRANSIENT and how in UNEXPECTED)
        assert ref.alive is again
        assert await states(system, "sup") == ({"item-1": RUNNING} if again else {})


async def test_temporary_ends_do_not_count_as_restarts() -> None:
    """Clauses S3, S5."""
    specs = [probe(id_, restart=Restart.TEMPORARY) for id_ in "abc"]
    async with nested(specs, intensity=0) as system:
        for id_ in "abc":
            await end(system.ref(id_))
        assert await fate(system) is None


async def test_temporary_bystander_is_stopped_and_not_started_again() -> None:
    """Clause S4."""
    for strategy in (Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE):
        specs = [probe("a"), probe("b", restart=Restart.TEMPORARY)]
        async with running(specs, strategy=strategy) as system:
            await end(system.ref("a"))
            assert await states(system) == {"a": RUNNING}
            assert not system.ref("b").alive


async def test_permanent_normal_end_is_reported_without_alarm() -> None:
    """Clause S17."""
    async with running([probe("a")]) as system:
        await end(system.ref("a"), end_normally)
        assert [kind.value for kind in kinds(system)] == ["child_terminated"]
        assert await system.ref("a").ask(Add(1)) == 1
