"""Cells that tell the trace what happens in them, and hold the runtime to its guarantees.

The runtime itself has no hooks for this: a simulation gives it other cells, and a program that
is not simulated pays nothing.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

from runtime.askdeadlines import AskDeadlines
from runtime.cell import Cell, Life
from runtime.deadletters import DeadLetters
from runtime.envelope import DONE, Envelope, next_number
from runtime.exits import ExitReason
from runtime.mailbox import MailboxSpec
from runtime.sim.findings import Findings
from runtime.sim.trace import Trace


class Witness:
    """What all cells of one system tell: to the trace, and to the findings.

    `system` names the life of the process. Envelopes are numbered from its beginning.
    """

    def __init__(self, system: str, trace: Trace, findings: Findings) -> None:
        self.system = system
        self.trace = trace
        self.findings = findings
        self._take = trace.note
        self._first = next_number()
        self._living: dict[str, int] = defaultdict(int)

    def note(self, what: str, cell: Cell, *fields: str | int | None) -> None:
        self._take(what, self.system, cell.address, *fields)

    def number(self, envelope: Envelope) -> int:
        return envelope.number - self._first if envelope.number else 0

    def begins(self, cell: Cell) -> None:
        self._living[cell.address] += 1
        self.findings.check(
            self._living[cell.address] == 1,
            "single activation",
            f"{cell.address} has {self._living[cell.address]} activations at a time",
        )
        self.note("begins", cell)

    def ends(self, cell: Cell, reason: ExitReason) -> None:
        self._living[cell.address] -= 1
        self.note("ends", cell, reason.kind.value)


class WitnessedCell(Cell):
    """A cell whose mailbox, handler and lives are seen."""

    __slots__ = ("_accepted", "_in_hand", "_life", "_witness")

    def __init__(
        self,
        address: str,
        spec: MailboxSpec,
        dead_letters: DeadLetters,
        deadlines: AskDeadlines,
        witness: Witness,
    ) -> None:
        self._witness = witness
        self._in_hand: Envelope | None = None
        self._life: Life | None = None
        self._accepted: deque[Envelope] = deque()
        super().__init__(address, spec, dead_letters, deadlines)

    def make_lanes(self) -> tuple[deque[Envelope], deque[Envelope]]:
        return _Lane(self, "delivered", "handles"), _Lane(self, "signalled", "reads")

    @property
    def in_hand(self) -> Envelope | None:
        return self._in_hand

    @in_hand.setter
    def in_hand(self, envelope: Envelope | None) -> None:
        if self._in_hand is not None:
            self._witness.note("handled", self, self._witness.number(self._in_hand))
        self._in_hand = envelope

    @property
    def life(self) -> Life | None:
        return self._life

    @life.setter
    def life(self, life: Life | None) -> None:
        """Set when an incarnation is launched here."""
        self._life = life
        if life is not None:
            self._witness.begins(self)

    def close(self, reason: ExitReason, in_hand: tuple[Envelope, ...]) -> None:
        if self._life is not None:
            self._witness.ends(self, reason)
        super().close(reason, in_hand)
        self._accepted.clear()

    def arrived(self, lane: _Lane, envelope: Envelope) -> None:
        witness = self._witness
        number, kind = witness.number(envelope), type(envelope.message).__name__
        witness.note(lane.arriving, self, number, kind)
        if lane is self.items:
            self._accepted.append(envelope)
            if len(lane) > self.capacity:
                detail = f"{self.address} holds {len(lane)} of at most {self.capacity}"
                witness.findings.add("mailbox bound", detail)

    def left(self, lane: _Lane, envelope: Envelope) -> None:
        self._witness.note(lane.leaving, self, self._witness.number(envelope))
        if lane is self.items:
            self._check_order(envelope)

    def _check_order(self, envelope: Envelope) -> None:
        """Everything accepted before it has been read, or is not in the mailbox any more."""
        accepted = self._accepted
        if accepted and accepted[0] is envelope:
            accepted.popleft()
            return
        if envelope not in accepted:
            return  # it was stashed
        while accepted and (earlier := accepted.popleft()) is not envelope:
            if earlier in self.items:
                number = self._witness.number(earlier)
                detail = f"{self.address} reads {self._witness.number(envelope)} before {number}"
                self._witness.findings.add("order per actor", detail)


class _Lane(deque[Envelope]):
    """A mailbox that tells its cell who comes and goes."""

    def __init__(self, cell: WitnessedCell, arriving: str, leaving: str) -> None:
        super().__init__()
        self._cell = cell
        self.arriving = arriving
        self.leaving = leaving

    def append(self, envelope: Envelope, /) -> None:
        super().append(envelope)
        self._cell.arrived(self, envelope)

    def popleft(self) -> Envelope:
        envelope = super().popleft()
        self._cell.left(self, envelope)
        return envelope


class WitnessedDeadlines(AskDeadlines):
    """Deadlines that see each ask end."""

    def __init__(self, witness: Witness) -> None:
        super().__init__()
        self._witness = witness

    def open(self, tick: int) -> set[Envelope]:
        super().open(tick)
        waiting = self.buckets[tick] = _Waiting()
        waiting.witness = self._witness
        return waiting


class _Waiting(set[Envelope]):
    """The asks that end at one tick, unless they are answered before."""

    witness: Witness

    def discard(self, envelope: Any, /) -> None:
        witness = self.witness
        if envelope.state is not DONE:
            outcome = "gone"
        elif envelope.error is not None:
            outcome = type(envelope.error).__name__
        else:
            outcome = type(envelope.answer).__name__
        witness.note("answered", envelope.receiver, witness.number(envelope), outcome)
        super().discard(envelope)
