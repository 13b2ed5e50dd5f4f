"""The children of one supervisor: starting and stopping them, in order or all at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import attrs
import trio

from runtime.actor import Actor
from runtime.administration import ChildStatus
from runtime.cell import Cell
from runtime.child import BRUTAL, ChildSpec, ChildState, ChildType, Restart
from runtime.errors import NameTaken
from runtime.exits import SHUTDOWN, ExitKind, ExitReason
from runtime.incarnation import Incarnation
from runtime.ref import ActorRef
from runtime.reports import Offender, ReportKind, SupervisorReport, clipped, stack_of
from runtime.starting import Ignore
from runtime.system_messages import Stop, SystemMessage


@attrs.define(eq=False)
class Child:
    """A child and its present incarnation, while there is one."""

    id: str
    spec: ChildSpec
    cell: Cell
    supervisor: Cell
    arguments: tuple[Any, ...] = ()
    state: ChildState = ChildState.DOWN
    incarnation: Incarnation | None = None
    starts: int = 0
    kind: type[Actor] | None = None
    supervises: bool = False
    last_exit: str | None = None

    @property
    def restarts(self) -> int:
        return max(0, self.starts - 1)

    @property
    def type(self) -> ChildType:
        if self.spec.type is not None:
            return self.spec.type
        return ChildType.SUPERVISOR if self.supervises else ChildType.WORKER

    def status(self) -> ChildStatus:
        return ChildStatus(
            id=self.id,
            state=self.state,
            address=self.cell.address,
            restarts=self.restarts,
            kind=self.kind.__name__ if self.kind is not None else "",
            is_supervisor=self.type is ChildType.SUPERVISOR,
            last_exit=self.last_exit,
            ref=ActorRef(self.cell),
        )

    def exited(self, incarnation: Incarnation, reason: ExitReason) -> None:
        """Called when an incarnation has ended: tell the supervisor."""
        self.supervisor.signal(ChildExited(self, incarnation, reason))

    def ended(self, reason: ExitReason) -> None:
        """Take down that the present incarnation is over."""
        self.state = ChildState.DOWN
        self.incarnation = None
        self.last_exit = clipped(str(reason))


@attrs.frozen
class ChildExited(SystemMessage):
    """To the supervisor: one life of a child is over."""

    child: Child
    incarnation: Incarnation
    reason: ExitReason


@attrs.define
class Children:
    """The children of the supervisor whose life is `host`, by id, in the order of their start."""

    host: Incarnation
    supervising: type[Actor]
    _by_id: dict[str, Child] = attrs.field(factory=dict)

    def __iter__(self) -> Iterator[Child]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, child: object) -> bool:
        return isinstance(child, Child) and self._by_id.get(child.id) is child

    def find(self, id_: object) -> Child | None:
        """The child with this id; there is none for what is no id."""
        return self._by_id.get(id_) if isinstance(id_, str) else None

    def find_at(self, ref: ActorRef) -> Child | None:
        """The child that lives at `ref`."""
        for key in (ref.address.removeprefix(f"{self.host.cell.address}/"), ref.address):
            child = self._by_id.get(key)
            if child is not None and child.cell is ref.receiver(None):
                return child
        return None

    def adopt(self, id_: str, spec: ChildSpec, arguments: tuple[Any, ...] = ()) -> Child:
        """Add a child that is down."""
        cell = self.host.system.make_cell(self._address(id_), spec.mailbox)
        child = self._by_id[id_] = Child(id_, spec, cell, self.host.cell, arguments)
        return child

    def forget(self, child: Child) -> None:
        if self._by_id.get(child.id) is child:
            del self._by_id[child.id]
            self.host.system.release(child.cell, child.spec.name)

    def reorder(self, ids: Iterable[str]) -> None:
        """Put these first, in this order; the others follow in the order they had."""
        first = {id_: self._by_id[id_] for id_ in ids}
        self._by_id = first | {id_: child for id_, child in self._by_id.items() if id_ not in first}

    def _address(self, id_: str) -> str:
        return f"{self.host.cell.address}/{id_}"

    # Starting

    async def start(self, child: Child) -> BaseException | None:
        """Start it and wait until it is up; the error where it does not come up.

        Afterwards it is RUNNING, or DOWN when it failed or said that it is not to run.
        """
        child.state = ChildState.DOWN
        child.starts += 1
        try:
            self._move_in(child)
            actor = child.spec.make(child.arguments)
        except Exception as error:
            return error
        if isinstance(actor, Ignore):
            return None
        incarnation = Incarnation(child.cell, actor, self.host.system, child.exited)
        incarnation.number = child.starts
        child.kind, child.supervises = type(actor), isinstance(actor, self.supervising)
        self.host.launch(incarnation)
        with trio.move_on_after(child.spec.start_timeout_s):
            await incarnation.started.wait()
        if not incarnation.started.is_set():
            incarnation.kill()
            await incarnation.exited.wait()
        return self._came_up(child, incarnation)

    def _move_in(self, child: Child) -> None:
        """Make the address ready for an actor, by what the specification says now.

        Raises `NameTaken`: never do two actors share an address.
        """
        spec = child.spec
        if spec.name is not None:
            child.cell = self.host.system.cell(self._address(child.id), spec.mailbox, spec.name)
        elif child.cell.accepting:
            raise NameTaken(f"an actor lives at {child.cell.address}")
        else:
            child.cell.configure(spec.mailbox)

    def _came_up(self, child: Child, incarnation: Incarnation) -> BaseException | None:
        error, incarnation.start_error = incarnation.start_error, None
        if error is None and not incarnation.ignored:
            child.incarnation, child.state = incarnation, ChildState.RUNNING
            if child.spec.restart is Restart.TEMPORARY:
                child.arguments = ()
        return error

    # Stopping

    async def stop(self, child: Child) -> None:
        """Stop it as its specification says; report an end that was not what was asked for."""
        incarnation = child.incarnation
        if incarnation is None:
            child.state = ChildState.DOWN
            return
        if child.spec.shutdown_s > BRUTAL:
            child.cell.signal(Stop(SHUTDOWN))
            with trio.move_on_after(child.spec.shutdown_s):
                await incarnation.exited.wait()
        if not incarnation.exited.is_set():
            incarnation.kill()
            await incarnation.exited.wait()
        reason = incarnation.reason or SHUTDOWN
        child.ended(reason)
        if not _asked_for(child.spec, reason):
            self.report(ReportKind.SHUTDOWN_ERROR, child, reason)

    async def stop_in_order(self) -> None:
        """Stop them in the reverse order of their start, one after the other."""
        for child in reversed(self._by_id.values()):
            await self.stop(child)

    async def stop_at_once(self, template: ChildSpec) -> None:
        """Stop all of a template's children together, under one time limit.

        Reported are not the children, but the reasons, each with the number of its children.
        """
        lives = [child.incarnation for child in self if child.incarnation is not None]
        if template.shutdown_s > BRUTAL:
            for life in lives:
                life.cell.signal(Stop(SHUTDOWN))
            with trio.move_on_after(template.shutdown_s):
                await _all_over(lives)
        for life in lives:
            if not life.exited.is_set():
                life.kill()
        await _all_over(lives)
        self._report_ends(template)

    def _report_ends(self, template: ChildSpec) -> None:
        counts: Counter[str] = Counter()
        examples: dict[str, tuple[Child, ExitReason]] = {}
        for child in self:
            if child.incarnation is None:
                continue
            reason = child.incarnation.reason or SHUTDOWN
            child.ended(reason)
            if not _asked_for(template, reason):
                text = clipped(str(reason))
                text = text if text in counts or len(counts) < REASONS_MAX else OTHER_REASONS
                counts[text] += 1
                examples.setdefault(text, (child, reason))
        for text, (child, reason) in examples.items():
            self.report(ReportKind.SHUTDOWN_ERROR, child, reason, children=counts[text])

    # Reporting

    def report(
        self,
        kind: ReportKind,
        child: Child,
        reason: ExitReason | BaseException | str,
        *,
        children: int = 1,
        in_period: int = 0,
    ) -> None:
        """Tell the system what happened to a child."""
        error = reason.error if isinstance(reason, ExitReason) else reason
        text = repr(reason) if isinstance(reason, BaseException) else str(reason)
        report = SupervisorReport(
            kind=kind,
            supervisor=clipped(self.host.cell.address),
            child=clipped(child.cell.address),
            reason=clipped(text),
            offender=_offender(child, children),
            restarts=child.restarts,
            restarts_in_period=in_period,
            stack=stack_of(error if isinstance(error, BaseException) else None),
        )
        expected = isinstance(reason, ExitReason) and reason.expected
        self.host.system.reports.add(report, expected=expected)


REASONS_MAX = 16
"""Different reasons that the stop of a pool reports."""

OTHER_REASONS = "other reasons"


async def _all_over(lives: list[Incarnation]) -> None:
    for life in lives:
        if not life.exited.is_set():
            await life.exited.wait()


def _asked_for(spec: ChildSpec, reason: ExitReason) -> bool:
    """Whether a child that was being stopped ended like this, as it was asked to or might."""
    if reason.expected and spec.restart is not Restart.PERMANENT:
        return True
    if spec.shutdown_s <= BRUTAL:
        return reason.kind is ExitKind.KILLED
    return reason.kind is ExitKind.SHUTDOWN and not reason.detail


def _offender(child: Child, children: int) -> Offender:
    spec = child.spec
    return Offender(
        id=clipped(child.id),
        address=clipped(child.cell.address),
        restart=spec.restart,
        significant=spec.significant,
        shutdown_s=spec.shutdown_s,
        type=child.type,
        children=children,
    )
