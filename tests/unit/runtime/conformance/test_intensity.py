"""Restart intensity: what counts, for how long, and the exact edges of the window."""

import pytest
import trio
from trio.testing import MockClock

from runtime import (
    Backoff,
    ChildSpec,
    ChildState,
    Reconfigure,
    RestartChild,
    Strategy,
    SupervisorFlags,
    TerminateChild,
)
from runtime.ports import seeded_ports
from tests.unit.runtime.conformance.helpers import fate, nested
from tests.unit.runtime.helpers import START, Probe, Reluctant, end, kill, probe, settle, states

GAVE_UP = "shutdown: reached_max_restart_intensity"


@pytest.mark.parametrize("intensity", [0, 1, 2, 5])
async def test_as_many_restarts_as_the_intensity_are_allowed(intensity: int) -> None:
    """Clause S5: and not one more."""
    async with nested([probe("a")], intensity=intensity) as system:
        for _ in range(intensity):
            await end(system.ref("a"))
        assert await fate(system) is None
        await end(system.ref("a"))
        assert await fate(system) == GAVE_UP


@pytest.mark.parametrize(("pause_s", "expected"), [(9.75, GAVE_UP), (10, GAVE_UP), (10.25, None)])
async def test_window_includes_both_its_ends(
    pause_s: float, expected: str | None, autojump_clock: MockClock
) -> None:
    """Clause S5."""
    async with nested([probe("a")], intensity=1, period_s=10) as system:
        await end(system.ref("a"))
        await trio.sleep(pause_s)
        await end(system.ref("a"))
        assert await fate(system) == expected


async def test_window_slides(autojump_clock: MockClock) -> None:
    """Clause S5: two bursts that no fixed window would see together."""
    async with nested([probe("a")], intensity=3, period_s=10) as system:
        for pause_s in (0, 8, 0, 4):
            await trio.sleep(pause_s)
            assert await fate(system) is None
            await end(system.ref("a"))
        assert await fate(system) is None
        await end(system.ref("a"))
        assert await fate(system) == GAVE_UP


async def test_restarts_of_all_children_count_together() -> None:
    """Clause S5."""
    async with nested([probe("a"), probe("b")], intensity=1) as system:
        await end(system.ref("a"))
        await end(system.ref("b"))
        assert await fate(system) == GAVE_UP


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
async def test_group_restart_counts_once(strategy: Strategy) -> None:
    """Clause S5: per event, not per child."""
    specs = [probe(id_) for id_ in "abcde"]
    async with nested(specs, strategy=strategy, intensity=2) as system:
        for _ in range(2):
            await end(system.ref("a"))
        assert await fate(system) is None


async def test_every_try_of_a_restart_counts() -> None:
    """Clauses S5, S7: one crash and two failed tries are three restarts."""
    failures: list[str] = []
    spec = ChildSpec("a", lambda: Reluctant(failures), name="a")
    for intensity, expected in ((3, None), (2, GAVE_UP)):
        async with nested([spec], intensity=intensity) as system:
            failures.extend(["no", "no"])
            await end(system.ref("a"))
            await settle(60)
            assert await fate(system) == expected
            failures.clear()


async def test_ends_without_a_restart_do_not_count() -> None:
    """Clause S5: and administration does not either."""
    async with nested([probe("a")], intensity=0) as system:
        for _ in range(3):
            await system.ref("sup").ask(TerminateChild("a"))
            await system.ref("sup").ask(RestartChild("a"))
        assert await fate(system) is None


async def test_intensity_outlives_a_change_of_flags() -> None:
    """Clauses S5, S15."""
    async with nested([probe("a")], intensity=5) as system:
        for _ in range(3):
            await end(system.ref("a"))
        await system.ref("sup").ask(Reconfigure(SupervisorFlags(intensity=3)))
        assert await fate(system) is None
        await end(system.ref("a"))
        assert await fate(system) == GAVE_UP


async def test_backoff_counts_as_well(autojump_clock: MockClock) -> None:
    """Clauses S5, S8: a wait between restarts does not hide them."""
    backoff = Backoff(initial_s=1, max_s=1, jitter=0)
    async with nested([probe("a")], intensity=2, period_s=100, backoff=backoff) as system:
        await end(system.ref("a"))
        await end(system.ref("a"))
        assert await states(system, "sup") == {"a": ChildState.RESTARTING}
        await trio.sleep(1.1)
        await end(system.ref("a"))
        assert await fate(system) == GAVE_UP


async def test_backoff_of_many_restarts_stays_at_its_maximum() -> None:
    """Clause S8: also after more restarts than a float can be doubled."""
    random = seeded_ports(1, START).random
    assert Backoff(max_s=5, jitter=0).delay_s(1_000_000, random) == 5


async def test_killed_by_hand_counts_like_a_crash() -> None:
    """Clauses S3, S5."""
    async with nested([ChildSpec("a", Probe, name="a")], intensity=0) as system:
        await end(system.ref("a"), kill)
        assert await fate(system) == GAVE_UP
