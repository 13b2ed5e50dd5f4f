"""One life of an actor: start, message loop, end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
import trio
from trio.lowlevel import checkpoint, current_task

from runtime.actor import DEFERRED, Actor
from runtime.cell import Cell
from runtime.context import Context, context_of_batch, current
from runtime.envelope import DONE, QUEUED, TAKEN, Envelope
from runtime.errors import AskTimeout, StartFailed
from runtime.exits import NORMAL, ExitReason, crashed
from runtime.introspection import Suspension, Times, introspect, observed, release
from runtime.message_trace import MessageTrace
from runtime.moment import Moment
from runtime.parking import monotonic, park
from runtime.ref import ActorRef
from runtime.resting import Retired
from runtime.sampling import TIMED
from runtime.starting import IGNORE, StartInfo
from runtime.system_messages import Introspection, Stop, SystemMessage
from runtime.tenure import Tenure
from runtime.timers import TimerFired, Timers
from runtime.tracing import Tracing, handling

if TYPE_CHECKING:
    from runtime.system import ActorSystem

log = structlog.get_logger("loyalnest.actor")

SLICE_S = 0.001
"""How long an actor with a full mailbox works before it lets other tasks run."""

SLICE_CHECK = 32
"""Messages between two looks at the clock."""

UNSEEN: AbstractContextManager[object] = nullcontext()
"""The block in which messages are handled where nobody looks on."""

OnExit = Callable[["Incarnation", ExitReason], None]


class Incarnation(Tenure):
    """Runs one actor in one cell. Created and started by a supervisor."""

    __slots__ = (
        "_batch",
        "_deferred",
        "_handler",
        "_on_exit",
        "_reading",
        "_stashed",
        "_stopping",
        "_timers",
        "exited",
        "ignored",
        "info",
        "number",
        "reason",
        "receive",
        "ref",
        "start_error",
        "started",
        "suspension",
        "times",
        "trace",
    )

    def __init__(self, cell: Cell, actor: Actor, system: ActorSystem, on_exit: OnExit) -> None:
        super().__init__(cell, actor, system)
        self.ref = ActorRef(cell)
        self.suspension: Suspension | None = None
        self.trace: MessageTrace | None = None
        self.times: Times | None = None
        self.receive: Callable[[Any], Any]
        self.handle_with(actor.receive)
        self.reason: ExitReason | None = None
        self.start_error: BaseException | None = None
        self.ignored = False
        self.info: object = None
        self.started = Moment()
        self.exited = Moment()
        self.number = 0
        self._on_exit = on_exit
        self._timers: Timers | None = None
        self._stopping = False
        self._reading: Envelope | None = None
        self._batch: Sequence[Envelope] = ()
        self._stashed: list[Envelope] | None = None
        self._deferred: Sequence[Envelope] = ()
        actor._incarnation = self

    @property
    def timers(self) -> Timers:
        if self._timers is None:
            self._timers = Timers(self)
        return self._timers

    def handle_with(self, receive: Callable[[Any], Any]) -> None:
        """Handle messages with `receive`; where spans are recorded, each in one of its own."""
        self._handler = receive
        tracing = self.system.tracing
        self.receive = receive if tracing is None else partial(self._traced, tracing, receive)
        if self.trace is not None:
            self.receive = partial(observed, self, self.receive)

    def watch_with(self, trace: MessageTrace | None) -> None:
        """From the next message on, take down in `trace` what comes and goes."""
        self.trace = trace
        self.handle_with(self._handler)

    def handling(self, envelopes: Sequence[Envelope]) -> AbstractContextManager[object]:
        """A block in which these are worked on, apart from `receive`: its spans, and its trace."""
        if self.system.tracing is None and self.trace is None:
            return UNSEEN
        spans = handling(self.system.tracing, type(self.actor).__name__, envelopes)
        if self.trace is None:
            return spans
        both = ExitStack()
        both.enter_context(spans)
        both.enter_context(self.trace.handling(envelopes))
        return both

    async def _traced(
        self, tracing: Tracing, receive: Callable[[Any], Any], message: object
    ) -> object:
        envelope = self.cell.in_hand
        if envelope is None or envelope.message is not message:
            return await receive(message)
        with handling(tracing, type(self.actor).__name__, (envelope,)):
            return await receive(message)

    def request_stop(self, reason: ExitReason) -> None:
        """End after the message in hand: the system lane stops the loop, `reason` ends it."""
        if self.reason is None:
            self.reason = reason
            self.cell.signal(Stop(reason))

    async def _live(self) -> ExitReason | None:
        try:
            reason = await self._body_with_tasks()
        except Exception as error:
            reason = crashed(error)
            if self.started.is_set():
                reason = await self._call_stopped(reason)
        return reason

    async def _body_with_tasks(self) -> ExitReason | None:
        if not self.actor.child_tasks:
            return await self._body()
        async with trio.open_nursery() as self._nursery:
            self._open_to_children()
            try:
                reason = await self._body()
            finally:
                self._end_children_at_rest()
            self._nursery.cancel_scope.cancel()
        return reason

    async def _body(self) -> ExitReason | None:
        try:
            reason = await self._serve()
        except Exception as error:
            reason = crashed(error)
            self._count_failed()
        if reason is not None and self.started.is_set():
            return await self._call_stopped(reason)
        return reason

    async def _call_stopped(self, reason: ExitReason) -> ExitReason:
        if self._stopping:
            return reason
        self._stopping = True
        current.set(Context(receiver=self.cell))
        try:
            await self.actor.stopped(reason)
        except Exception as error:
            return crashed(error)
        return reason

    def _finish(self, reason: ExitReason) -> None:
        if not self.started.is_set() and not self.ignored:
            self.start_error = reason.error or trio.TooSlowError("killed while starting")
        if self._stashed and self.cell.rests:
            self.cell.open()
        self.unstash_all()
        release(self)
        self.cell.close(reason, (*self._batch, *self._deferred))
        self._batch = self._deferred = ()
        self.reason = reason
        self.started.set()
        self.exited.set()
        self._on_exit(self, reason)

    async def _serve(self) -> ExitReason | None:
        if not self.started.is_set():
            self._come_up(await self.actor.started())
            if self.ignored:
                return NORMAL
            self.started.set()
            if self._is_superfluous():
                return None
        work = self._work_batches if self.actor.batch_max > 1 else self._work
        while self.reason is None:
            try:
                with trio.CancelScope() as scope:
                    self.cell.scope = scope if self.actor.cancellable else None
                    await work()
            except self.actor.passes_on as error:
                self._pass_on(error)
            except Retired:
                if self._is_idle():
                    return None
                self.system.task_holders.add(self)
            self._put_down()
        return self.reason

    def _come_up(self, answer: object) -> None:
        """Take what `started` returned."""
        if isinstance(answer, StartInfo):
            self.info = answer.value
        elif answer is IGNORE:
            self.ignored = True
        elif answer is not None:
            kind, actor = type(answer).__name__, type(self.actor).__name__
            raise StartFailed(f"{actor}.started returned {kind}, not what a start may return")

    async def _ready(self) -> None:
        """Wait until there is a message to handle, or the end."""
        cell = self.cell
        while self.reason is None:
            if cell.system_items:
                self._reading = cell.system_items.popleft()
                await self._read_system(self._reading)
                self._reading = None
            elif cell.items and self.suspension is None:
                return
            else:
                await self._idle()

    async def _idle(self) -> None:
        current.set(None)
        cell, task = self.cell, current_task()
        cell.parked = task
        task.custom_sleep_data = cell
        try:
            await park()
        finally:
            cell.parked = None

    async def _work(self) -> None:
        """Handle messages one by one, until the end or until the scope was cancelled."""
        cell = self.cell
        while self.reason is None and not cell.cancelled:
            await self._ready()
            await self._drain()

    async def _drain(self) -> None:
        """Handle what is there. The hot loop: one call more per message costs 10% of a tell."""
        cell, items, system_items = self.cell, self.cell.items, self.cell.system_items
        take, use_context = items.popleft, current.set
        taken, slice_end = 0, monotonic() + SLICE_S
        try:
            while items and not system_items:
                if not taken % SLICE_CHECK and monotonic() > slice_end:
                    break
                taken += 1
                cell.in_hand = envelope = take()
                if cell.room is not None:
                    cell.room.unpark()
                use_context(envelope)
                if envelope.plain:
                    await self.receive(envelope.message)
                elif (envelope.asker and not envelope.sent_at) or not self._is_dead(envelope):
                    envelope.state = TAKEN
                    value = await self.receive(envelope.message)
                    if envelope.asker is not None and value is not DEFERRED:
                        envelope.reply(value)
                    if envelope.sent_at or value is DEFERRED:
                        self._after(envelope, value)
                    if cell.cancelled:
                        break
                else:
                    taken -= 1
            cell.in_hand = None
        finally:
            cell.handled += taken
        if items:
            await checkpoint()

    def _is_dead(self, envelope: Envelope) -> bool:
        """Whether its asker has gone, or its deadline has passed, in the mailbox."""
        if envelope.sent_at and not self.actor.concurrent:
            self.begin_timing(envelope)
        if envelope.asker is not None or envelope.waiting is None:
            return False
        self.cell.bury_unwanted(envelope)
        return True

    def _after(self, envelope: Envelope, value: object) -> None:
        if value is DEFERRED:
            self._defer(envelope)
        if envelope.sent_at:
            self.end_timing(envelope)

    def _count_failed(self) -> None:
        """What is in hand has failed."""
        self.cell.failed += len(self._batch) or self.cell.in_hand is not None

    def _pass_on(self, error: Exception) -> None:
        """Answer what is in hand with `error`, and go on."""
        self._count_failed()
        asked = False
        for envelope in (self.cell.in_hand, *self._batch):
            if envelope is not None and envelope.state is TAKEN:
                asked = asked or envelope.expects_reply
                envelope.fail(error)
        if not asked:
            log.warning("message_failed", actor=self.cell.address, error=str(error)[:500])
        self.cell.in_hand = None
        self._end_batch()

    def _put_down(self) -> None:
        """After a cancelled handler: its deadline passed, or its asker went away."""
        cell = self.cell
        cell.cancelled, self._reading = False, None
        envelope, cell.in_hand = cell.in_hand, None
        if envelope is not None:
            cell.failed += envelope.state is DONE
            detail = "deadline passed while it was worked on"
            envelope.fail(AskTimeout(cell.address, envelope.message, detail))
        self._end_batch()

    async def _work_batches(self) -> None:
        """Handle messages in batches, until the end or until the scope was cancelled."""
        while self.reason is None and not self.cell.cancelled:
            await self._ready()
            batch = self._take_batch()
            if batch:
                await self._handle_batch(batch)
            if self.cell.items or not batch:
                await checkpoint()

    def _take_batch(self) -> list[Envelope]:
        if self.reason is not None:
            return []
        items = self.cell.items
        count = min(len(items), self.actor.batch_max)
        taken = [items.popleft() for _ in range(count)]
        self.cell.took(count)
        batch = [envelope for envelope in taken if envelope.plain or not self._is_dead(envelope)]
        self.cell.handled -= count - len(batch)
        for envelope in batch:
            envelope.state = TAKEN
        return batch

    async def _handle_batch(self, batch: list[Envelope]) -> None:
        apart = self.actor.concurrent
        timed = () if apart else [envelope for envelope in batch if envelope.sent_at]
        self._batch = batch
        if self.actor.batch_cancellable:
            self.cell.batch = batch
        with nullcontext() if apart else self.handling(batch):
            current.set(context_of_batch(self.cell, batch))
            await self.actor.receive_batch(batch)
        for envelope in batch:
            if envelope.asker is not None:
                self._defer(envelope)
        for envelope in timed:
            self.end_timing(envelope)
        self._end_batch()

    def _end_batch(self) -> None:
        self._batch = ()
        self.cell.batch = ()

    def finish_batch(self) -> None:
        """See `Actor.finish_batch`."""
        self.cell.batch = ()

    def _defer(self, envelope: Envelope) -> None:
        if envelope.expects_reply and envelope.state is TAKEN:
            open_ones = [kept for kept in self._deferred if kept.state is not DONE]
            self._deferred = [*open_ones, envelope]

    def begin_timing(self, envelope: Envelope) -> None:
        """The wait of a sampled message is over, its handling begins."""
        now = monotonic()
        wait_s, envelope.sent_at = now - envelope.sent_at, now
        if self.times is None:
            self.times = Times()
        self.times.waits.add(wait_s)
        if self.trace is not None:
            self.trace.waited(envelope, wait_s)
        if not envelope.number % TIMED:
            self.system.metrics.queue_wait(type(self.actor).__name__, wait_s)

    def end_timing(self, envelope: Envelope) -> None:
        """The handling of a sampled message is over."""
        service_s = monotonic() - envelope.sent_at
        if self.times is not None:
            self.times.services.add(service_s)
        if not envelope.number % TIMED:
            self.system.metrics.service(type(self.actor).__name__, service_s)

    async def _read_system(self, envelope: Envelope) -> None:
        message = envelope.message
        current.set(Context(receiver=self.cell))
        match message:
            case Stop():
                self.request_stop(message.reason)
            case Introspection():
                if not envelope.withdrawn:
                    introspect(self, envelope)
            case TimerFired():
                if self.timers.claim(message):
                    await self.receive(message.message)
            case SystemMessage():
                await self.actor.receive_system(message)

    def stash(self) -> object:
        """See `Actor.stash`."""
        envelope = self.cell.in_hand
        if envelope is not None:
            envelope.state = QUEUED
            self._stashed = self._stashed or []
            self._stashed.append(envelope)
        return DEFERRED

    def unstash_all(self) -> None:
        """See `Actor.unstash_all`."""
        stashed, self._stashed = self._stashed, None
        if stashed:
            self.cell.items.extendleft(reversed(stashed))
            self.cell.nudge()

    def watch(self, ref: ActorRef) -> None:
        """See `Actor.watch`."""
        ref.watched_by(self.cell)

    def in_hand(self) -> Envelope | None:
        """See `runtime.overtime.AtWork`. Who works on several at once begins each by itself."""
        if self.cell.in_hand is not None:
            return self.cell.in_hand
        batch = () if self.actor.concurrent else self._batch
        return batch[0] if batch else self._reading

    @property
    def first_of_batch(self) -> Envelope | None:
        """Of the batch in hand, if one is."""
        return self._batch[0] if self._batch else None
