"""Significant children and the automatic shutdown of their supervisor."""

import pytest
from trio.testing import MockClock

from runtime import (
    IGNORE,
    AdminError,
    AutoShutdown,
    Backoff,
    ChildSpec,
    ChildState,
    InvalidSpec,
    Reconfigure,
    Restart,
    RestartChild,
    StartChild,
    Strategy,
    Supervisor,
    SupervisorFlags,
    TerminateChild,
    check_children,
)
from tests.unit.runtime.conformance.helpers import EXPECTED, LONG, UNEXPECTED, Way, fate, nested
from tests.unit.runtime.helpers import Probe, end, end_normally, probe, settle, states, why

ANY, ALL = AutoShutdown.ANY_SIGNIFICANT, AutoShutdown.ALL_SIGNIFICANT
TRANSIENT, TEMPORARY = Restart.TRANSIENT, Restart.TEMPORARY
SHUT_DOWN = "shutdown: auto_shutdown"


def significant(
    id_: str, restart: Restart = TRANSIENT, diary: list[str] | None = None
) -> ChildSpec:
    return probe(id_, diary, restart=restart, significant=True)


@pytest.mark.parametrize("how", EXPECTED)
@pytest.mark.parametrize("restart", [TRANSIENT, TEMPORARY])
async def test_any_significant_expected_end_shuts_down(how: Way, restart: Restart) -> None:
    """Clause S14."""
    diary: list[str] = []
    children = [significant("a", restart, diary), probe("b", diary)]
    async with nested(children, auto_shutdown=ANY) as system:
        await end(system.ref("a"), how)
        assert await fate(system) == SHUT_DOWN
        assert diary[-1] == "stop b shutdown"


@pytest.mark.parametrize("how", UNEXPECTED)
async def test_any_significant_temporary_abnormal_end_shuts_down(how: Way) -> None:
    """Clause S14."""
    async with nested([significant("a", TEMPORARY)], auto_shutdown=ANY) as system:
        await end(system.ref("a"), how)
        assert await fate(system) == SHUT_DOWN


@pytest.mark.parametrize("auto_shutdown", [ANY, ALL])
@pytest.mark.parametrize("how", UNEXPECTED)
async def test_significant_transient_that_is_restarted_does_not(
    how: Way, auto_shutdown: AutoShutdown
) -> None:
    """Clause S14."""
    async with nested([significant("a")], auto_shutdown=auto_shutdown) as system:
        await end(system.ref("a"), how)
        assert await fate(system) is None
        assert system.ref("a").alive


async def test_any_significant_other_children_do_not() -> None:
    """Clause S14."""
    children = [significant("a"), probe("b", restart=TRANSIENT)]
    async with nested(children, auto_shutdown=ANY) as system:
        await end(system.ref("b"), end_normally)
        assert await fate(system) is None


@pytest.mark.parametrize("restart", [TRANSIENT, TEMPORARY])
async def test_all_significant_waits_for_the_last(restart: Restart) -> None:
    """Clause S14."""
    children = [significant("a", restart), significant("b", restart), probe("c")]
    async with nested(children, auto_shutdown=ALL) as system:
        await end(system.ref("a"), end_normally)
        assert await fate(system) is None
        await end(system.ref("b"), end_normally)
        assert await fate(system) == SHUT_DOWN


async def test_all_significant_terminated_ones_count_as_down() -> None:
    """Clause S14: the last to end by itself shuts down."""
    children = [significant("a"), significant("b")]
    async with nested(children, auto_shutdown=ALL) as system:
        await system.ref("sup").ask(TerminateChild("a"))
        assert await fate(system) is None
        await end(system.ref("b"), end_normally)
        assert await fate(system) == SHUT_DOWN


async def test_all_significant_counts_one_that_was_started_again() -> None:
    """Clause S14."""
    children = [significant("a"), significant("b")]
    async with nested(children, auto_shutdown=ALL) as system:
        await end(system.ref("a"), end_normally)
        await system.ref("sup").ask(RestartChild("a"))
        await end(system.ref("b"), end_normally)
        assert await fate(system) is None
        await end(system.ref("a"), end_normally)
        assert await fate(system) == SHUT_DOWN


async def test_all_significant_counts_one_that_waits_for_its_restart(
    autojump_clock: MockClock,
) -> None:
    """Clause S14."""
    children = [significant("a"), significant("b")]
    backoff = Backoff(initial_s=5.0)
    async with nested(children, auto_shutdown=ALL, backoff=backoff, **LONG) as system:
        for _ in range(2):
            await end(system.ref("a"))
        assert (await states(system, "sup"))["a"] is ChildState.RESTARTING
        await end(system.ref("b"), end_normally)
        assert await fate(system) is None


@pytest.mark.parametrize("auto_shutdown", [ANY, ALL])
@pytest.mark.parametrize("restart", [TRANSIENT, TEMPORARY])
async def test_termination_by_administration_does_not(
    auto_shutdown: AutoShutdown, restart: Restart
) -> None:
    """Clause S14."""
    async with nested([significant("a", restart)], auto_shutdown=auto_shutdown) as system:
        assert await system.ref("sup").ask(TerminateChild("a")) is None
        await settle()
        assert await fate(system) is None


@pytest.mark.parametrize("auto_shutdown", [ANY, ALL])
@pytest.mark.parametrize("restart", [TRANSIENT, TEMPORARY])
@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
async def test_group_restart_of_a_sibling_does_not(
    strategy: Strategy, restart: Restart, auto_shutdown: AutoShutdown
) -> None:
    """Clause S14."""
    children = [probe("a"), significant("b", restart)]
    options = {"strategy": strategy, "auto_shutdown": auto_shutdown}
    async with nested(children, **options) as system:
        await end(system.ref("a"))
        assert await fate(system) is None
        assert system.ref("b").alive is (restart is TRANSIENT)


@pytest.mark.parametrize("auto_shutdown", [ANY, ALL])
async def test_start_that_is_ignored_does_not(auto_shutdown: AutoShutdown) -> None:
    """Clauses S12, S14."""
    child = ChildSpec("a", lambda: IGNORE, TRANSIENT, significant=True)
    async with nested([child], auto_shutdown=auto_shutdown) as system:
        await settle()
        assert await fate(system) is None


async def test_shutdown_ends_supervisors_above_where_they_are_significant() -> None:
    """Clause S14: a shutdown is a normal end of the supervisor as a child."""
    inner = ChildSpec(
        "inner",
        lambda: Supervisor([significant("a")], auto_shutdown=ANY),
        TRANSIENT,
        significant=True,
    )
    async with nested([inner], auto_shutdown=ANY) as system:
        await end(system.ref("a"), end_normally)
        assert await fate(system) == SHUT_DOWN


async def test_significant_permanent_is_refused() -> None:
    """Clause S13."""
    spec = significant("a", Restart.PERMANENT)
    with pytest.raises(InvalidSpec, match="permanent"):
        Supervisor([spec], auto_shutdown=ANY)
    with pytest.raises(InvalidSpec, match="permanent"):
        check_children([spec])
    async with nested(auto_shutdown=ANY) as system:
        assert why(await system.ref("sup").ask(StartChild(spec))) is AdminError.INVALID_SPEC


async def test_significant_without_automatic_shutdown_is_refused() -> None:
    """Clause S13."""
    spec = significant("a")
    check_children([spec])
    with pytest.raises(InvalidSpec, match="never shuts down"):
        Supervisor([spec])
    async with nested() as system:
        assert why(await system.ref("sup").ask(StartChild(spec))) is AdminError.INVALID_SPEC


@pytest.mark.parametrize("auto_shutdown", [ANY, ALL])
async def test_automatic_shutdown_of_simple_one_for_one_is_refused(
    auto_shutdown: AutoShutdown,
) -> None:
    """Clause S13."""
    strategy, template = Strategy.SIMPLE_ONE_FOR_ONE, ChildSpec("item", Probe)
    with pytest.raises(InvalidSpec, match="automatic"):
        Supervisor(strategy=strategy, template=template, auto_shutdown=auto_shutdown)


async def test_upgrade_from_never_to_any() -> None:
    """Clauses S14, S15."""
    async with nested([probe("a", restart=TRANSIENT)]) as system:
        sup = system.ref("sup")
        flags = SupervisorFlags(auto_shutdown=ANY)
        assert await sup.ask(Reconfigure(flags, [significant("a")])) is None
        await end(system.ref("a"), end_normally)
        assert await fate(system) == SHUT_DOWN


async def test_upgrade_from_any_to_never() -> None:
    """Clauses S14, S15."""
    async with nested([significant("a")], auto_shutdown=ANY) as system:
        sup, flags = system.ref("sup"), SupervisorFlags()
        assert why(await sup.ask(Reconfigure(flags))) is AdminError.INVALID_SPEC
        assert await sup.ask(Reconfigure(flags, [probe("a", restart=TRANSIENT)])) is None
        await end(system.ref("a"), end_normally)
        assert await fate(system) is None


async def test_upgrade_of_a_child_makes_it_significant() -> None:
    """Clauses S14, S15."""
    async with nested([probe("a", restart=TRANSIENT)], auto_shutdown=ANY) as system:
        assert await system.ref("sup").ask(Reconfigure(children=[significant("a")])) is None
        await end(system.ref("a"), end_normally)
        assert await fate(system) == SHUT_DOWN
