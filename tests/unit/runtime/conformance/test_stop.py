"""Stop: by time, brutal, without a limit; and children that end otherwise meanwhile."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime import (
    BRUTAL,
    INFINITE,
    NORMAL,
    ChildSpec,
    ChildType,
    ExitKind,
    ExitReason,
    Restart,
    Supervisor,
    TerminateChild,
)
from tests.unit.runtime.conformance.helpers import nested, pool, reported, start
from tests.unit.runtime.helpers import Probe, Run, crash, probe, running, settle

PERMANENT, TRANSIENT, TEMPORARY = Restart


class Ending(Probe):
    """Ends for a reason of its own, when it is asked to stop."""

    def __init__(self, reason: ExitReason) -> None:
        super().__init__()
        self._reason = reason

    async def receive(self, message: Any) -> object:
        self.stop(self._reason)
        return await super().receive(message)


class Slow(Probe):
    """Takes long to stop."""

    async def stopped(self, reason: ExitReason) -> None:
        await trio.sleep(60)


class Failing(Probe):
    """Crashes when it stops."""

    async def stopped(self, reason: ExitReason) -> None:
        raise RuntimeError("boom")


@pytest.mark.parametrize("type_", list(ChildType))
async def test_stop_infinity_is_for_workers_and_supervisors(
    type_: ChildType, autojump_clock: MockClock
) -> None:
    """Clause S6."""
    child = ChildSpec("a", Slow, type=type_, shutdown_s=INFINITE)
    async with running([child]) as system:
        begun = trio.current_time()
        assert await system.ref("root").ask(TerminateChild("a"), timeout_s=100) is None
        assert trio.current_time() - begun == pytest.approx(60)
        assert reported(system) == []


@pytest.mark.parametrize("restart", list(Restart))
async def test_stop_timeout_kills_and_reports(restart: Restart, autojump_clock: MockClock) -> None:
    """Clauses S6, S17."""
    child = ChildSpec("a", Slow, restart, shutdown_s=2)
    async with running([child]) as system:
        begun = trio.current_time()
        assert await system.ref("root").ask(TerminateChild("a")) is None
        assert trio.current_time() - begun == pytest.approx(2)
        assert reported(system) == [("shutdown_error", "a", "killed")]


@pytest.mark.parametrize("restart", list(Restart))
async def test_stop_brutal_kill_is_what_was_asked_for(restart: Restart) -> None:
    """Clauses S6, S17."""
    diary: list[str] = []
    async with running([probe("a", diary, restart=restart, shutdown_s=BRUTAL)]) as system:
        assert await system.ref("root").ask(TerminateChild("a")) is None
        assert diary == ["start a"]
        assert reported(system) == []


@pytest.mark.parametrize("restart", list(Restart))
async def test_stop_of_a_child_that_crashes_meanwhile_keeps_its_reason(restart: Restart) -> None:
    """Clauses S6, S17."""
    async with running([ChildSpec("a", Failing, restart)]) as system:
        assert await system.ref("root").ask(TerminateChild("a")) is None
        assert reported(system) == [("shutdown_error", "a", "crashed: RuntimeError: boom")]
        assert "boom" in system.reports.latest[0].stack


@pytest.mark.parametrize("reason", [NORMAL, ExitReason(ExitKind.SHUTDOWN, "term")])
@pytest.mark.parametrize("restart", list(Restart))
async def test_stop_of_a_child_that_ends_by_itself_meanwhile(
    restart: Restart, reason: ExitReason
) -> None:
    """Clauses S6, S17: expected of all but permanent ones."""
    child = ChildSpec("a", lambda: Ending(reason), restart, name="a", shutdown_s=5)
    async with running([child]) as system:
        gate = trio.Event()
        system.ref("a").tell(Run(lambda _: gate.wait()))
        await settle()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(system.ref("root").ask, TerminateChild("a"))
            await settle()
            gate.set()
        expected = [("shutdown_error", "a", str(reason))] if restart is PERMANENT else []
        assert reported(system) == expected


@pytest.mark.parametrize("restart", list(Restart))
async def test_stop_of_a_child_that_crashed_before_the_supervisor_looked(restart: Restart) -> None:
    """Clauses S1, S6, S17: a crash and a stop of the whole at the same moment."""
    async with nested([probe("a", restart=restart)]) as system:
        gate = trio.Event()

        async def crash_at_the_gate(actor: Probe) -> None:
            await gate.wait()
            await crash(actor)

        system.ref("a").tell(Run(crash_at_the_gate))
        await settle()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(system.ref("root").ask, TerminateChild("sup"))
            await settle()
            gate.set()
        assert reported(system) == [("shutdown_error", "a", "crashed: RuntimeError: boom")]


async def test_stop_of_a_supervisor_passes_through_the_tree(autojump_clock: MockClock) -> None:
    """Clause S1."""
    diary: list[str] = []
    async with nested([probe("a", diary), probe("b", diary)]) as system:
        assert await system.ref("root").ask(TerminateChild("sup")) is None
        assert diary[2:] == ["stop b shutdown", "stop a shutdown"]
        assert reported(system) == []


async def test_supervisor_that_is_killed_takes_its_children_with_it() -> None:
    """Clauses L4, S6."""
    diary: list[str] = []
    child = ChildSpec(
        "sup", lambda: Supervisor([probe("a", diary)]), Restart.TRANSIENT, shutdown_s=BRUTAL
    )
    async with running([child]) as system:
        assert await system.ref("root").ask(TerminateChild("sup")) is None
        assert not system.ref("a").alive
        assert diary == ["start a"]


async def test_dynamic_stop_timeout_is_one_for_all(autojump_clock: MockClock) -> None:
    """Clauses S6, S16, S17: and one report for each reason."""
    template = ChildSpec("item", Slow, TEMPORARY, shutdown_s=3)
    async with nested(**pool(template)) as system:
        for _ in range(5):
            await start(system.ref("sup"))
        begun = trio.current_time()
        assert await system.ref("root").ask(TerminateChild("sup")) is None
        assert trio.current_time() - begun == pytest.approx(3)
        (report,) = system.reports.latest
        assert (report.kind.value, report.reason) == ("shutdown_error", "killed")
        assert report.offender.children == 5


async def test_dynamic_stop_brutal_kill(autojump_clock: MockClock) -> None:
    """Clauses S6, S16."""
    async with nested(**pool(ChildSpec("item", Slow, shutdown_s=BRUTAL))) as system:
        for _ in range(5):
            await start(system.ref("sup"))
        begun = trio.current_time()
        assert await system.ref("root").ask(TerminateChild("sup")) is None
        assert trio.current_time() == begun
        assert reported(system) == []


async def test_dynamic_stop_infinity(autojump_clock: MockClock) -> None:
    """Clauses S6, S16."""
    async with nested(**pool(ChildSpec("item", Slow, shutdown_s=INFINITE))) as system:
        for _ in range(5):
            await start(system.ref("sup"))
        begun = trio.current_time()
        assert await system.ref("root").ask(TerminateChild("sup"), timeout_s=100) is None
        assert trio.current_time() - begun == pytest.approx(60)
        assert reported(system) == []


async def test_dynamic_stop_reports_each_reason_with_its_number() -> None:
    """Clauses S16, S17."""

    class Two(Probe):
        async def stopped(self, reason: ExitReason) -> None:
            raise (RuntimeError if self.name == "even" else LookupError)(self.name)

    async with nested(**pool(ChildSpec("item", lambda name: Two(None, name)))) as system:
        for index in range(5):
            await start(system.ref("sup"), "odd" if index % 2 else "even")
        await system.ref("root").ask(TerminateChild("sup"))
        counts = {report.reason: report.offender.children for report in system.reports.latest}
        assert counts == {"crashed: RuntimeError: even": 3, "crashed: LookupError: odd": 2}
