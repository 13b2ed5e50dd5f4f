"""The task of an actor's life: begun, given up at rest, begun again, ended."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from contextvars import Context as ExecutionContext
from functools import partial
from typing import TYPE_CHECKING

import outcome
import trio
from trio.lowlevel import current_task, reschedule

from runtime.context import Context, current, current_trace_id
from runtime.exits import KILLED, ExitReason
from runtime.parking import monotonic
from runtime.resting import Retired

if TYPE_CHECKING:
    from runtime.actor import Actor
    from runtime.cell import Cell
    from runtime.envelope import Envelope
    from runtime.introspection import Suspension
    from runtime.message_trace import MessageTrace
    from runtime.system import ActorSystem


class Tenure:
    """A life in a cell, as far as it is about having a task.

    While it rests (`runtime.resting`), its task has ended with all scopes and the nursery, and it
    is kept by its `host`, the life in whose nursery it runs; a message begins another task there.
    """

    __slots__ = (
        "_at_rest",
        "_host",
        "_kept",
        "_kill_scope",
        "_nursery",
        "actor",
        "began_at",
        "cell",
        "system",
    )

    suspension: Suspension | None
    trace: MessageTrace | None

    def __init__(self, cell: Cell, actor: Actor, system: ActorSystem) -> None:
        self.cell = cell
        self.actor = actor
        self.system = system
        self.began_at = 0.0
        self._host: Tenure | None = None
        self._nursery: trio.Nursery | None = None
        self._kill_scope: trio.CancelScope | None = None
        self._kept: ExecutionContext | None = None
        self._at_rest: dict[Tenure, None] | None = None

    @abstractmethod
    def in_hand(self) -> Envelope | None:
        """See `runtime.overtime.AtWork`."""

    @abstractmethod
    async def _live(self) -> ExitReason | None:
        """Live until the end, or until there is nothing to do: then None."""

    @abstractmethod
    def _finish(self, reason: ExitReason) -> None:
        """It is over."""

    def launch_in(self, nursery: trio.Nursery) -> None:
        """Start in `nursery`, without the context of whoever asked for it."""
        self.cell.open()
        self.cell.life = self
        self.began_at = monotonic()
        self._begin_in(nursery, ExecutionContext())

    def launch(self, child: Tenure) -> None:
        """Start a child actor in this actor's nursery."""
        nursery = self._own_nursery()
        child._host = self
        child.launch_in(nursery)

    def start_task(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run a child task that keeps the trace, but no deadline, of the message in hand."""
        nursery = self._own_nursery()
        context = ExecutionContext()
        context.run(current.set, Context(trace_id=current_trace_id(), work_of=self.cell))
        context.run(partial(nursery.start_soon, function, *args, name=self.cell.address))

    def _own_nursery(self) -> trio.Nursery:
        if self._nursery is None:
            name = type(self.actor).__name__
            raise RuntimeError(f"{name} has child_tasks = False, or it rests: see keeps_task")
        return self._nursery

    def _begin_in(self, nursery: trio.Nursery, context: ExecutionContext) -> None:
        self._kill_scope = trio.CancelScope()
        context.run(partial(nursery.start_soon, self.run, name=self.cell.address))
        if self._host is not None and not self.actor.keeps_task:
            self.system.task_holders.add(self)

    async def run(self) -> None:
        """Live until stopped, crashed, killed or cancelled, or until it rests."""
        reason: ExitReason | None = KILLED
        self.system.overtime.begin(self)
        try:
            with self._kill_scope or trio.CancelScope():
                reason = await self._live_or_rest()
        finally:
            self.system.overtime.end(self)
            if reason is not None:
                self._leave(reason)

    async def _live_or_rest(self) -> ExitReason | None:
        while True:
            reason = await self._live()
            if reason is not None or self._rest():
                return reason

    def _leave(self, reason: ExitReason) -> None:
        self.system.task_holders.discard(self)
        self._host = self._kept = self._kill_scope = None
        self._finish(reason)

    def kill(self) -> None:
        """End at the next checkpoint, without `stopped`."""
        self.cell.rouse()
        if self._kill_scope is not None:
            self._kill_scope.cancel()

    # Resting

    @property
    def handled(self) -> int:
        """See `Holder`."""
        return self.cell.handled

    def retire(self) -> bool:
        """See `Holder`. Without effect when a message comes before its task is scheduled."""
        cell, task = self.cell, self.cell.parked
        if task is None or task.custom_sleep_data is not cell or not self._is_idle():
            return False
        cell.parked = None
        reschedule(task, outcome.Error(Retired()))
        return True

    def _is_idle(self) -> bool:
        cell, nursery = self.cell, self._nursery
        if cell.items or cell.system_items or self._at_rest:
            return False
        return nursery is None or not nursery.child_tasks

    def _is_superfluous(self) -> bool:
        """Where more have tasks than should: whether it can do without, or else others might."""
        holders = self.system.task_holders
        if not holders.crowded_by(self):
            return False
        idle = self._is_idle()
        if not idle:
            holders.make_room()
        return idle

    def _rest(self) -> bool:
        """Give up the task that this runs in, if there is still nothing to do for it."""
        host, scope = self._host, self._kill_scope
        if host is None or host._at_rest is None or scope is None or scope.cancel_called:
            return False
        if not self._is_idle():
            self.system.task_holders.add(self)
            return False
        context = current_task().context
        self._kept = context if any(variable is not current for variable in context) else None
        self._kill_scope = self._nursery = None
        self.system.task_holders.discard(self)
        host._at_rest[self] = None
        self.cell.clear_out()
        return True

    def rouse(self) -> None:
        """Go on in a new task, after a rest."""
        host = self._host
        if host is None or host._at_rest is None or self not in host._at_rest:
            return
        del host._at_rest[self]
        self.cell.open()
        self._begin_in(host._own_nursery(), self._kept or ExecutionContext())
        self.system.task_holders.make_room()

    def end_at_rest(self, reason: ExitReason) -> bool:
        """End without a task, where nothing would run in it; false where something would."""
        host = self._host
        if host is None or host._at_rest is None or not self.actor.ends_silently():
            return False
        del host._at_rest[self]
        self._leave(reason)
        return True

    def _open_to_children(self) -> None:
        self._at_rest = {}

    def _end_children_at_rest(self) -> None:
        """They have no tasks that the end of the nursery could cancel."""
        at_rest, self._at_rest = self._at_rest, None
        for life in at_rest or ():
            life._leave(KILLED)
