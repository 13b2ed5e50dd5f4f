"""An actor system under observation."""

import re
from collections import defaultdict, deque

import trio

from runtime.cell import Cell
from runtime.deadletters import DeadLetter
from runtime.mailbox import MailboxSpec
from runtime.ports import Ports
from runtime.reports import ReportKind, SupervisorReport
from runtime.resting import HELD_MAX
from runtime.sim.cells import Witness, WitnessedCell, WitnessedDeadlines
from runtime.sim.findings import Findings
from runtime.sim.trace import Trace
from runtime.system import ActorSystem

IN_MEMORY = re.compile(r"0x[0-9a-f]+")
"""Where an object lies is another place in every process."""

RESTARTS_MAX, RESTART_PERIOD_S = 5, 30.0
"""What a supervisor may do, unless it says otherwise: the application's do not."""


class SimulatedSystem(ActorSystem):
    """An `ActorSystem` whose messages, lives and reports go into a trace.

    `name` tells the systems of one simulation apart.
    """

    def __init__(
        self,
        name: str,
        ports: Ports,
        trace: Trace,
        findings: Findings,
        tasks_max: int = HELD_MAX,
    ) -> None:
        super().__init__(ports, tasks_max=tasks_max)
        self.name = name
        self._witness = Witness(name, trace, findings)
        self._ends: dict[str, deque[float]] = defaultdict(deque)
        self.deadlines = WitnessedDeadlines(self._witness)
        self.reports.subscribe(self._report)

    def make_cell(self, address: str, mailbox: MailboxSpec) -> Cell:
        return WitnessedCell(address, mailbox, self.dead_letters, self.deadlines, self._witness)

    def _count_dead_letter(self, letter: DeadLetter) -> None:
        super()._count_dead_letter(letter)
        kind, reason = type(letter.message).__name__, letter.reason.value
        self._witness.trace.note("dead", self._witness.system, letter.address, kind, reason)

    def _count_ends(self, report: SupervisorReport) -> None:
        """More ends than a supervisor may restart, and one more, would be an endless loop. Those
        at the same moment are one restart."""
        now, times = trio.current_time(), self._ends[report.supervisor]
        while times and times[0] < now - RESTART_PERIOD_S:
            times.popleft()
        if not times or times[-1] != now:
            times.append(now)
        if len(times) > RESTARTS_MAX + 1:
            detail = f"{report.supervisor}: {len(times)} ends in {RESTART_PERIOD_S:g} s"
            self._witness.findings.add("restart bounds", detail)

    def _report(self, report: SupervisorReport) -> None:
        trace, kind = self._witness.trace, report.kind
        reason = IN_MEMORY.sub("0x", report.reason)
        trace.note("report", self._witness.system, kind.value, report.child, reason)
        if kind is ReportKind.CHILD_TERMINATED:
            self._count_ends(report)
        if kind is ReportKind.SHUTDOWN:
            self._ends.pop(report.supervisor, None)
            trace.note("gives up", self._witness.system, report.supervisor)
