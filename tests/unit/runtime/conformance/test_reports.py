"""Reports of a supervisor: their kinds, what is in them, and who gets them."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from runtime import ChildSpec, ChildType, ReportKind, Restart, SupervisorReport
from runtime.reports import KEPT, STACK_MAX, TEXT_MAX, stack_of
from tests.unit.runtime.conformance.helpers import LONG, nested
from tests.unit.runtime.helpers import Probe, Reluctant, end, end_normally, probe, running, settle


async def test_report_says_who_what_and_why() -> None:
    """Clause S17."""
    async with running([probe("a", restart=Restart.TRANSIENT, shutdown_s=3)], **LONG) as system:
        for _ in range(3):
            await end(system.ref("a"))
        report = system.reports.latest[-1]
        assert report.kind is ReportKind.CHILD_TERMINATED
        assert (report.supervisor, report.child) == ("root", "root/a")
        assert report.reason == "crashed: RuntimeError: boom"
        assert (report.restarts, report.restarts_in_period) == (2, 2)
        assert 'raise RuntimeError("boom")' in report.stack
        offender = report.offender
        assert (offender.id, offender.address, offender.children) == ("a", "root/a", 1)
        assert (offender.restart, offender.shutdown_s) == (Restart.TRANSIENT, 3)
        assert (offender.type, offender.significant) == (ChildType.WORKER, False)


async def test_report_of_every_kind_in_its_order() -> None:
    """Clause S17."""
    failures: list[str] = []
    reluctant = ChildSpec("a", lambda: Reluctant(failures), name="a")

    class Clumsy(Probe):
        async def stopped(self, reason: Any) -> None:
            raise LookupError("dropped it")

    async with nested([reluctant, ChildSpec("b", Clumsy)], intensity=1) as system:
        failures.append("no")
        await end(system.ref("a"))
        await settle()
        assert [report.kind.value for report in system.reports.latest] == [
            "child_terminated",
            "start_error",
            "shutdown",
            "shutdown_error",
        ]
        assert all(count == 1 for count in system.reports.counts.values())


async def test_report_is_bounded_in_size() -> None:
    """Clause S17."""

    async def shout(_: Probe) -> None:
        raise RuntimeError("x" * 1_000_000)

    async with running([probe("a" * 10_000)]) as system:
        await end(system.ref("a" * 10_000), shout)
        (report,) = system.reports.latest
        texts = (report.supervisor, report.child, report.reason, report.offender.id)
        assert all(len(text) <= TEXT_MAX for text in texts)
        assert len(report.stack) <= STACK_MAX


async def test_stack_shows_the_last_frames() -> None:
    """Clause S17."""

    def descend(depth: int) -> None:
        if depth == 0:
            raise RuntimeError("at the bottom")
        descend(depth - 1)

    with pytest.raises(RuntimeError) as caught:
        descend(200)
    stack = stack_of(caught.value)
    assert stack.endswith("RuntimeError: at the bottom\n")
    assert stack.count("in descend") <= 8


async def test_only_the_latest_reports_are_kept() -> None:
    """Clause S17: the counts go on."""
    async with running([probe("a")], intensity=KEPT * 2, period_s=1000.0) as system:
        for _ in range(KEPT + 10):
            await end(system.ref("a"))
        assert len(system.reports.latest) == KEPT
        assert system.reports.counts[ReportKind.CHILD_TERMINATED] == KEPT + 10


async def test_report_reaches_the_log() -> None:
    """Clause S17."""
    with capture_logs() as logged:
        async with running([probe("a"), probe("b")]) as system:
            await end(system.ref("a"))
            await end(system.ref("b"), end_normally)
    alarm, note = [entry for entry in logged if entry["event"] == "supervisor_report"]
    assert alarm["log_level"] == "error"
    assert alarm["report"] == "child_terminated"
    assert (alarm["supervisor"], alarm["child"]) == ("root", "root/a")
    assert alarm["reason"] == "crashed: RuntimeError: boom"
    assert (alarm["restarts"], alarm["restarts_in_period"]) == (0, 0)
    assert note["log_level"] == "info"
    assert "stack" not in note


async def test_subscriber_gets_reports_until_it_leaves() -> None:
    """Clause S17."""
    seen: list[SupervisorReport] = []
    async with running([probe("a")]) as system:
        leave = system.reports.subscribe(seen.append)
        await end(system.ref("a"))
        assert [report.offender.id for report in seen] == ["a"]
        leave()
        leave()
        await end(system.ref("a"))
        assert len(seen) == 1


async def test_subscriber_that_raises_disturbs_nobody() -> None:
    """Clause S17."""
    seen: list[SupervisorReport] = []

    def faulty(_: SupervisorReport) -> None:
        raise LookupError("no place for it")

    async with running([probe("a")]) as system:
        system.reports.subscribe(faulty)
        system.reports.subscribe(seen.append)
        with capture_logs() as logged:
            await end(system.ref("a"))
        assert len(seen) == 1
        assert system.ref("a").alive
        assert "report_subscriber_failed" in [entry["event"] for entry in logged]
