"""Readiness in virtual time: how soon it goes, how soon it comes back, and what it costs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio

from runtime import Actor, ActorSystem, ChildSpec, StartChild, Supervisor, TerminateChild
from runtime.cache import CacheHandle
from runtime.journal import JOURNAL
from runtime.ports import seeded_ports
from runtime.pulse import STALLED_S, Heart, Pulse
from runtime.storage import DatabaseHandle, StorageUnavailable
from runtime.tree import read_tree
from supervisors.application import DOMAINS
from supervisors.conditions import CHECK_TIMEOUT_S
from supervisors.health import (
    CHECK_EVERY_S,
    FAILURES_MAX,
    HealthBoard,
    HealthChecker,
    Part,
    Status,
)
from tests.trees import START
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

GONE_WITHIN_S = 15.0
BACK_WITHIN_S = 10.0
TICK_S, TICKS_MAX = 0.1, 1_000


class Away(DatabaseHandle):
    """A database that fails, hangs or answers, as the test says, and counts who asks."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.failure: Exception | None = None
        self.hangs = False

    async def fetch_value(self, sql: str, *values: Any) -> Any:
        self.asked += 1
        if self.hangs:
            await trio.sleep_forever()
        if self.failure is not None:
            raise self.failure
        return 1


class Agreeing(Actor):
    """Answers everything with None, as a journal that has written does."""

    async def receive(self, message: Any) -> object:
        return None


@attrs.frozen
class World:
    system: ActorSystem
    database: Away
    board: HealthBoard

    async def until(self, ready: bool) -> float:
        """How long it takes until the board says so."""
        for tick in range(TICKS_MAX):
            if self.board.ready is ready:
                return tick * TICK_S
            await trio.sleep(TICK_S)
        raise AssertionError(f"never {ready=}")


def domain(name: str) -> ChildSpec:
    children = (ChildSpec("worker", Agreeing),)
    return ChildSpec(name, lambda: Supervisor(children), name=f"domain.{name}")


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    database, board = Away(), HealthBoard()
    domains = tuple(map(domain, ("auth", "core", "points", "products")))
    children = (
        ChildSpec("journal", Agreeing, name=JOURNAL),
        ChildSpec("domains", lambda: Supervisor(domains), name=DOMAINS),
        ChildSpec("health", lambda: HealthChecker(board, database, CacheHandle())),
    )
    root = ChildSpec("root", lambda: Supervisor(children), name="root")
    async with ActorSystem(seeded_ports(1, START)).run(root) as system:
        yield World(system, database, board)


async def test_a_database_that_fails_is_seen_in_time_and_so_is_its_return() -> None:
    async with world() as it:
        assert it.board.readiness is Status.DEGRADED  # no cache is attached
        it.database.failure = StorageUnavailable("password=hunter2")
        assert await it.until(ready=False) <= GONE_WITHIN_S
        part = it.board.dependencies["database"]
        assert (part.condition, part.last_error) == ("down", "StorageUnavailable")
        assert "hunter2" not in repr(it.board)
        it.database.failure = None
        assert await it.until(ready=True) <= BACK_WITHIN_S


async def test_a_database_that_hangs_is_seen_in_time_and_so_is_its_return() -> None:
    async with world() as it:
        it.database.hangs = True
        assert await it.until(ready=False) <= GONE_WITHIN_S
        assert it.board.dependencies["database"].last_error == "Timeout"
        it.database.hangs = False
        assert await it.until(ready=True) <= BACK_WITHIN_S


async def test_there_is_at_most_one_check_a_second() -> None:
    async with world() as it:
        it.database.asked = 0
        await trio.sleep(60 * CHECK_EVERY_S)
        assert 50 <= it.database.asked <= 60


async def test_one_failure_alone_makes_nothing_unready() -> None:
    async with world() as it:
        it.database.failure = StorageUnavailable("a moment")
        await trio.sleep(CHECK_EVERY_S * (FAILURES_MAX - 1) + 0.5)
        it.database.failure = None
        assert it.board.ready
        await trio.sleep(10 * CHECK_EVERY_S)
        assert it.board.ready
        assert it.board.dependencies["database"].last_error == "StorageUnavailable"


@pytest.mark.parametrize(("name", "status"), [("points", "unready"), ("products", "degraded")])
async def test_a_domain_that_is_down_counts_only_where_it_is_required(
    name: str, status: str
) -> None:
    async with world() as it:
        await it.system.ref(DOMAINS).ask(TerminateChild(name))
        await trio.sleep((FAILURES_MAX + 1) * (CHECK_EVERY_S + CHECK_TIMEOUT_S))
        assert it.board.readiness.value == status
        assert it.board.domains[name].condition == "down"


async def test_before_the_first_look_nothing_is_ready() -> None:
    assert HealthBoard().readiness is Status.UNREADY
    assert HealthBoard(stopping=True).readiness is Status.STOPPING


async def test_a_required_part_that_was_never_up_is_missing_from_the_first_look_on() -> None:
    part = Part("database", required=True)
    assert part.missing
    part.seen(False, "down", "Timeout", START)
    assert part.missing
    part.seen(True, "up", None, START)
    part.seen(False, "down", "Timeout", START)
    assert not part.missing


async def test_another_owner_of_the_database_is_known_without_a_check() -> None:
    async with world() as it:
        it.database.retire()
        assert it.board.readiness is Status.TAKEN_OVER


async def test_the_heart_beats_until_it_stops_and_a_pulse_at_rest_is_not_stalled() -> None:
    pulse = Pulse()
    root = ChildSpec("heart", lambda: Heart(pulse))
    assert not pulse.stalled
    async with ActorSystem(seeded_ports(1, START)).run(root):
        await trio.sleep(10.0)
        assert pulse.beats == pytest.approx(100, abs=2)
        stalled = [pulse.stalled]
        pulse.beaten_at = trio.current_time() - STALLED_S - 0.1
        stalled.append(pulse.stalled)
    stalled.append(pulse.stalled)
    assert stalled == [False, True, False]


async def test_the_tree_is_read_while_a_supervisor_is_busy() -> None:
    class Slow(Actor):
        async def started(self) -> None:
            await trio.sleep(100)

    inner = ChildSpec("inner", lambda: Supervisor((ChildSpec("w", Agreeing),)), name="inner")
    stuck = ChildSpec("stuck", lambda: Supervisor((ChildSpec("x", Agreeing),)), name="stuck")
    root = ChildSpec("root", lambda: Supervisor((inner, stuck)), name="root")
    async with ActorSystem(seeded_ports(1, START)).run(root) as system:
        async with trio.open_nursery() as nursery:

            async def occupy() -> None:
                await system.ref("stuck").ask(StartChild(ChildSpec("slow", Slow)), timeout_s=60)

            nursery.start_soon(occupy)
            await trio.sleep(0.1)
            nodes = read_tree(system)
            nursery.cancel_scope.cancel()
        found = [(n.status.id, [c.status.id for c in n.children or ()]) for n in nodes]
        assert found == [("inner", ["w"]), ("stuck", ["x", "slow"])]
