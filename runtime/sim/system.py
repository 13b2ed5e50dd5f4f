"""An actor system under observation."""

import re

from runtime.cell import Cell
from runtime.deadletters import DeadLetter
from runtime.mailbox import MailboxSpec
from runtime.ports import Ports
from runtime.reports import ReportKind, SupervisorReport
from runtime.sim.cells import Witness, WitnessedCell, WitnessedDeadlines
from runtime.sim.findings import Findings
from runtime.sim.trace import Trace
from runtime.system import ActorSystem

IN_MEMORY = re.compile(r"0x[0-9a-f]+")
"""Where an object lies is another place in every process."""


class SimulatedSystem(ActorSystem):
    """An `ActorSystem` whose messages, lives and reports go into a trace.

    `name` tells the systems of one simulation apart.
    """

    def __init__(self, name: str, ports: Ports, trace: Trace, findings: Findings) -> None:
        super().__init__(ports)
        self.name = name
        self._witness = Witness(name, trace, findings)
        self.deadlines = WitnessedDeadlines(self._witness)
        self.reports.subscribe(self._report)

    def make_cell(self, address: str, mailbox: MailboxSpec) -> Cell:
        return WitnessedCell(address, mailbox, self.dead_letters, self.deadlines, self._witness)

    def _count_dead_letter(self, letter: DeadLetter) -> None:
        super()._count_dead_letter(letter)
        kind, reason = type(letter.message).__name__, letter.reason.value
        self._witness.trace.note("dead", self._witness.system, letter.address, kind, reason)

    def _report(self, report: SupervisorReport) -> None:
        trace, kind = self._witness.trace, report.kind
        reason = IN_MEMORY.sub("0x", report.reason)
        trace.note("report", self._witness.system, kind.value, report.child, reason)
        if kind is ReportKind.SHUTDOWN:
            trace.note("gives up", self._witness.system, report.supervisor)
