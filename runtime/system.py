"""The actor system: what all actors of one tree share."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import NoReturn

import trio

from runtime.askdeadlines import AskDeadlines
from runtime.cell import Cell
from runtime.changes import Changes
from runtime.child import BRUTAL, ChildSpec
from runtime.deadletters import DeadLetter, DeadLetters
from runtime.errors import InvalidSpec, NameTaken, StartFailed
from runtime.exits import SHUTDOWN, ExitReason
from runtime.expiries import Expiries
from runtime.flags import check_children
from runtime.foreground import Foreground
from runtime.incarnation import Incarnation
from runtime.mailbox import MailboxSpec
from runtime.overtime import Overtime
from runtime.ports import Ports, system_ports
from runtime.ref import ActorRef
from runtime.region import Region
from runtime.reports import SupervisorReports, clipped
from runtime.resting import HELD_MAX, TaskHolders
from runtime.starting import Ignore
from runtime.system_messages import Stop
from runtime.telemetry import Metrics
from runtime.tracing import Tracing

IGNORED_ROOT = "the root of the tree said that it is not to run"


class RootDown(Exception):
    """The root of the tree ended by itself: nothing is left that could restart it."""


class ActorSystem:
    """Registry, dead letters, reports, deadlines, ports, metrics and traces of one supervision
    tree. Without `tracing` no spans are recorded, and nothing is spent on them. Beyond `tasks_max`
    actors, those that are idle give up their tasks."""

    def __init__(
        self,
        ports: Ports | None = None,
        metrics: Metrics | None = None,
        tracing: Tracing | None = None,
        *,
        tasks_max: int = HELD_MAX,
    ) -> None:
        ports = ports if ports is not None else system_ports()
        self.clock = ports.clock
        self.ids = ports.ids
        self.random = ports.random
        self.secrets = ports.secrets
        self.metrics = metrics if metrics is not None else Metrics()
        self.tracing = tracing
        self.metrics.watch_mailboxes(self._mailbox_depths)
        self.dead_letters = DeadLetters(observer=self._count_dead_letter)
        self.reports = SupervisorReports()
        self.deadlines = AskDeadlines()
        self.task_holders = TaskHolders(tasks_max)
        self.expiries = Expiries()
        self.overtime = Overtime(self.metrics)
        self.foreground = Foreground(ports.give_way)
        self.changes = Changes()
        self.root: Cell | None = None
        self._names: dict[str, Cell] = {}
        self._regions: dict[str, Region] = {}

    def _count_dead_letter(self, letter: DeadLetter) -> None:
        self.metrics.dead_letter(letter.reason.value)

    def _mailbox_depths(self) -> Iterator[tuple[str, int]]:
        """Unread messages of every named actor that runs, and of all entities of a region."""
        for name, cell in self._names.items():
            if cell.accepting:
                yield name, len(cell.items)
        for name, region in self._regions.items():
            yield name, region.depth()

    def ref(self, name: str) -> ActorRef:
        """The actor registered under `name`, now or later; it survives restarts."""
        return ActorRef(self._named(name))

    def named(self, name: str) -> Cell | None:
        """The cell under this name, if there is one."""
        return self._names.get(name)

    @property
    def names(self) -> Mapping[str, Cell]:
        """The cells of all names that were asked for or registered."""
        return self._names

    @property
    def regions(self) -> Iterable[Region]:
        """All that were asked for."""
        return self._regions.values()

    def entities(self, name: str) -> Region:
        """The entities registered under `name`, now or later."""
        region = self._regions.get(name)
        if region is None:
            region = self._regions[name] = Region(name, self)
        return region

    def _named(self, name: str) -> Cell:
        cell = self._names.get(name)
        if cell is None:
            cell = self._names[name] = self.make_cell(name, MailboxSpec())
        return cell

    def make_cell(self, address: str, mailbox: MailboxSpec) -> Cell:
        """A cell that is not registered."""
        return Cell(address, mailbox, self.dead_letters, self.deadlines)

    def cell(self, address: str, mailbox: MailboxSpec, name: str | None) -> Cell:
        """The cell of a child: the one that `ref(name)` gives out, if it has a name."""
        if name is None:
            return self.make_cell(address, mailbox)
        cell = self._named(name)
        if cell.accepting:
            raise NameTaken(f"the name {name} is taken by {cell.address}")
        cell.address = address
        cell.configure(mailbox)
        return cell

    def release(self, cell: Cell, name: str | None) -> None:
        """Forget the cell of a deleted child. References to its name stay valid."""
        if name is not None and self._names.get(name) is cell and not cell.accepting:
            cell.address = name

    @asynccontextmanager
    async def run(self, root: ChildSpec) -> AsyncIterator["ActorSystem"]:
        """Run the tree below `root` for the duration of the block, then stop it in order.

        Raises `InvalidSpec` for what is no specification of a supervisor or actor, `StartFailed`
        when the tree does not come up, `RootDown` (after cancelling the block) when the root ends
        while the block runs, and what the block raises. When cancelled, it ends the block and
        then stops the tree in order as well.
        """
        died_of: ExitReason | None = None
        failure: Exception | None = None
        block = trio.CancelScope()
        incarnation = self._root(root, block)
        async with trio.open_nursery() as outside, trio.open_nursery() as nursery:
            nursery.cancel_scope.shield = True
            outside.start_soon(_pass_on_cancellation, block)
            nursery.start_soon(self.deadlines.run)
            nursery.start_soon(self.expiries.run)
            nursery.start_soon(self.overtime.run)
            incarnation.launch_in(nursery)
            try:
                with block:
                    await incarnation.started.wait()
                    if incarnation.ignored:
                        raise StartFailed(IGNORED_ROOT)
                    if incarnation.start_error is None:
                        yield self
            except Exception as error:
                failure = error
            finally:
                died_of = incarnation.reason if incarnation.exited.is_set() else None
                await _stop_root(incarnation, root.shutdown_s)
                nursery.cancel_scope.cancel()
                outside.cancel_scope.cancel()
        if failure is not None:
            raise failure
        if incarnation.start_error is not None:
            _raise_failed_start(root, incarnation.start_error)
        if died_of is not None:
            raise RootDown(f"{root.id} ended: {died_of}") from died_of.error

    def _root(self, root: ChildSpec, block: trio.CancelScope) -> Incarnation:
        def on_exit(_incarnation: Incarnation, _reason: ExitReason) -> None:
            block.cancel()

        check_children((root,))
        cell = self.root = self.cell(root.id, root.mailbox, root.name)
        try:
            actor = root.make()
        except Exception as error:
            _raise_failed_start(root, error)
        if isinstance(actor, Ignore):
            raise StartFailed(IGNORED_ROOT)
        return Incarnation(cell, actor, self, on_exit)


def _raise_failed_start(root: ChildSpec, error: BaseException) -> NoReturn:
    if isinstance(error, StartFailed | InvalidSpec):
        raise error
    raise StartFailed(f"{root.id} did not start: {clipped(repr(error))}") from error


async def _pass_on_cancellation(block: trio.CancelScope) -> None:
    """Cancel the block alone, so that the tree below is stopped in order and not cut off."""
    try:
        await trio.sleep_forever()
    finally:
        block.cancel()


async def _stop_root(incarnation: Incarnation, shutdown_s: float) -> None:
    if shutdown_s > BRUTAL:
        incarnation.cell.signal(Stop(SHUTDOWN))
        with trio.move_on_after(shutdown_s):
            await incarnation.exited.wait()
    if not incarnation.exited.is_set():
        incarnation.kill()
        await incarnation.exited.wait()
