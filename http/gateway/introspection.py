"""The desk through which operators look at actors: found by name, audited, held for a time."""

from collections import deque
from collections.abc import Awaitable
from typing import Any, ClassVar, Final, TypeVar

import attrs
import structlog
import trio

from actors.admin_core.messages import SYSTEM, AuditRecord, audit_event
from actors.admin_core.recording import record
from actors.vocabulary import Refusal, RefusalKind
from gateway.introspection_messages import (
    NOT_SUSPENDED,
    EndTrace,
    GetActorState,
    GetHeldUp,
    GetStatistics,
    GetSuspension,
    GetTrace,
    Hold,
    HoldOver,
    LetGo,
    ReplaceActorState,
    ResumeActor,
    SuspendActor,
    TraceActor,
)
from gateway.late_entries import RECORD_TIMEOUT_S, LateEntries
from gateway.switch_messages import Order
from runtime import ActorDown, ActorError, ActorRef, AskTimeout, Expired, Workers
from runtime.describing import described, text
from runtime.introspection import Suspension, held_up
from runtime.message_trace import MessageTrace, TraceEnd
from runtime.outbox import OutboxEvent
from runtime.state import StateRefused
from runtime.storage import StorageError
from runtime.system_messages import ActorState, ActorStatistics, Resume
from runtime.tree import NotFound, find_actor, statistics_at
from supervisors.switches import UNRECORDED_MAX

Answered = TypeVar("Answered")

log = structlog.get_logger("loyalnest.introspection")

PATIENCE_S: Final = 0.8
"""How long an actor may take to come to an end with the message in hand."""

HOLD_S: Final = 10.0
"""What is held is let go when nobody has asked for it for so long."""

TRACES_MAX: Final = 16
"""Traces that are there to be read; those that are over make room for new ones."""

NOT_TRACED: Final = Refusal(RefusalKind.NOT_FOUND, "not_traced", "the actor is not traced")
TOO_MANY: Final = Refusal(
    RefusalKind.CONFLICT, "too_many_traces", f"{TRACES_MAX} actors are traced already"
)
LOCKS_OUT: Final = Refusal(
    RefusalKind.CONFLICT, "would_lock_out", "nobody could resume it: operators ask through it"
)
WENT_AWAY: Final = Order(subject=SYSTEM, role=SYSTEM, reason="whoever held it has gone")


@attrs.define(eq=False)
class Held:
    """What outlives the desk: audit entries that wait, the traces by address, and what is held."""

    late: LateEntries = attrs.field(factory=lambda: LateEntries(deque(maxlen=UNRECORDED_MAX)))
    traces: dict[str, MessageTrace] = attrs.field(factory=dict)
    holds: set[tuple[Hold, str]] = attrs.field(factory=set)


class IntrospectionDesk(Workers):
    """Does what operators want with actors. What changes anything is in the audit log first.

    What is asked of an actor that is busy for more than `PATIENCE_S` is called off. An actor that
    is held goes on when a request for it is broken off, or none comes for `HOLD_S`.
    """

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, held: Held) -> None:
        super().__init__()
        self._late = held.late
        self._traces = held.traces
        self._held = held.holds

    async def started(self) -> None:
        self.start_task(self._late.keep_recording, self.system)
        for what, address in self._held:
            self._hold(what, address)

    async def receive(self, message: Any) -> object:
        match message:
            case HoldOver():
                self._let_go(message.address, message.what)
                return None
            case GetHeldUp():
                return held_up(self.system)
        ref = find_actor(self.system, message.actor)
        if isinstance(ref, NotFound):
            return self._absent(message, ref)
        match message:
            case GetStatistics():
                return self._statistics(ref)
            case GetTrace() | GetSuspension():
                return self._held_one(message, ref)
            case LetGo():
                self._let_go(ref.address, message.what)
                return None
            case GetActorState():
                return await _from(ref, ref.get_state())
        return await self._change(ref, message)

    def _absent(self, message: Any, not_found: NotFound) -> object:
        """A trace is still to be read when its actor has ended."""
        trace = self._traces.get(message.actor)
        if isinstance(message, GetTrace | EndTrace) and trace is not None:
            return trace
        return Refusal(RefusalKind.NOT_FOUND, "actor_not_found", not_found.detail)

    async def _change(self, ref: ActorRef, message: Any) -> object:
        match message:
            case ReplaceActorState():
                return await self._replace(ref, message)
            case SuspendActor():
                return await self._suspend(ref, message)
            case TraceActor():
                return await self._trace(ref, message)
            case ResumeActor():
                return await self._resume(ref, message.order)
            case EndTrace():
                return self._end_trace(ref, message.order)
        return await super().receive(message)

    # Looking

    def _statistics(self, ref: ActorRef) -> ActorStatistics | Refusal:
        found = statistics_at(ref.receiver(None))
        return found if found is not None else _down()

    def _held_one(
        self, message: GetTrace | GetSuspension, ref: ActorRef
    ) -> MessageTrace | Suspension | Refusal:
        what = Hold.TRACE if isinstance(message, GetTrace) else Hold.SUSPENSION
        if (what, ref.address) in self._held:
            self._hold(what, ref.address)
        if what is Hold.TRACE:
            return self._traces.get(ref.address, NOT_TRACED)
        life = ref.receiver(None).life
        suspension = life.suspension if life is not None else None
        return suspension if isinstance(suspension, Suspension) else NOT_SUSPENDED

    # Changing

    async def _replace(self, ref: ActorRef, message: ReplaceActorState) -> ActorState | Refusal:
        before = await _from(ref, ref.get_state())
        if isinstance(before, Refusal):
            return before
        shown = before.state if isinstance(before.state, dict) else {}
        old = {name: shown.get(name.lstrip("_")) for name in message.changes}
        new = described(message.changes)
        await self._record("actor.replace_state", ref.address, old, new, message.order)
        try:
            done = await _from(ref, ref.replace_state(message.changes))
        except StateRefused as refused:
            return Refusal(RefusalKind.INVALID, "state_refused", text(str(refused)))
        return done if isinstance(done, Refusal) else await _from(ref, ref.get_state())

    async def _suspend(self, ref: ActorRef, message: SuspendActor) -> ActorStatistics | Refusal:
        if ref.address == self.ref.address:
            return LOCKS_OUT
        for_s = message.order.for_s or PATIENCE_S
        after = {"state": "suspended", "for_s": for_s}
        await self._record("actor.suspend", ref.address, None, after, message.order)
        done = await _from(ref, ref.suspend(for_s))
        if isinstance(done, Refusal):
            return done
        self._note(Hold.SUSPENSION, ref.address, message)
        return self._statistics(ref)

    async def _trace(self, ref: ActorRef, message: TraceActor) -> MessageTrace | Refusal:
        if not self._room_for_a_trace(ref.address):
            return TOO_MANY
        for_s = message.order.for_s or PATIENCE_S
        after = {"state": "traced", "for_s": for_s, "events": message.events}
        await self._record("actor.trace", ref.address, None, after, message.order)
        trace = await _from(ref, ref.trace(for_s, message.events))
        if isinstance(trace, MessageTrace):
            self._traces[ref.address] = trace
            self._note(Hold.TRACE, ref.address, message)
        return trace

    def _room_for_a_trace(self, address: str) -> bool:
        """Room for one more, after forgetting the oldest that is over."""
        if address in self._traces or len(self._traces) < TRACES_MAX:
            return True
        over = next((key for key, trace in self._traces.items() if trace.end is not None), None)
        return over is not None and self._traces.pop(over).end is not None

    async def _resume(self, ref: ActorRef, order: Order) -> ActorStatistics | Refusal:
        """Whatever the database does: nothing may keep an actor held up."""
        self._unhold(Hold.SUSPENSION, ref.address)
        if isinstance(await _from(ref, ref.resume()), Refusal):
            ref.signal(Resume())
        self._record_later("actor.resume", ref.address, order)
        return self._statistics(ref)

    def _end_trace(self, ref: ActorRef, order: Order) -> MessageTrace | Refusal:
        trace = self._traces.get(ref.address)
        if trace is None:
            return NOT_TRACED
        self._unhold(Hold.TRACE, ref.address)
        trace.finish(TraceEnd.STOPPED)
        self._record_later("actor.end_trace", ref.address, order)
        return trace

    # Holding

    def _note(self, what: Hold, address: str, wanted: SuspendActor | TraceActor) -> None:
        log.warning(
            "actor_held_up",
            what=what.value,
            actor=text(address),
            for_s=wanted.order.for_s,
            by=wanted.order.subject,
        )
        if wanted.hold:
            self._hold(what, address)
        else:
            self._unhold(what, address)

    def _hold(self, what: Hold, address: str) -> None:
        self._held.add((what, address))
        self.timers.start((what, address), HOLD_S, HoldOver(address, what))

    def _unhold(self, what: Hold, address: str) -> None:
        self._held.discard((what, address))
        self.timers.cancel((what, address))

    def _let_go(self, address: str, what: Hold) -> None:
        """End what is held, if it is."""
        if (what, address) not in self._held:
            return
        self._unhold(what, address)
        trace = self._traces.get(address) if what is Hold.TRACE else None
        ref = find_actor(self.system, address)
        if trace is not None and trace.end is None:
            trace.finish(TraceEnd.STOPPED)
            self._record_later("actor.end_trace", address, WENT_AWAY)
        elif what is Hold.SUSPENSION and isinstance(ref, ActorRef) and _is_suspended(ref):
            ref.signal(Resume())
            self._record_later("actor.resume", address, WENT_AWAY)

    # The audit log

    async def _record(
        self, action: str, target: str, before: Any, after: Any, order: Order
    ) -> None:
        event = self._event(action, target, before, after, order)
        await record(self.system, event, timeout_s=RECORD_TIMEOUT_S)

    def _record_later(self, action: str, target: str, order: Order) -> None:
        self._late.add(self._event(action, target, None, None, order))

    def _event(
        self, action: str, target: str, before: Any, after: Any, order: Order
    ) -> OutboxEvent:
        entry = AuditRecord(
            subject=order.subject,
            role=order.role,
            action=action,
            target=text(target),
            before=before,
            after=after,
            reason=order.reason,
            trace_id=order.trace_id,
        )
        return audit_event(entry, event_id=self.system.ids.new("evt"), at=self.system.clock.now())


async def _from(ref: ActorRef, asked: Awaitable[Answered]) -> Answered | Refusal:
    """The answer of the actor itself. Raises what it answers with."""
    with trio.move_on_after(PATIENCE_S):
        try:
            return await asked
        except ActorDown:
            return _down()
        except (AskTimeout, Expired):
            pass
    busy = statistics_at(ref.receiver(None))
    doing = f" with {busy.in_hand}" if busy is not None and busy.in_hand else ""
    detail = f"the actor is busy{doing}; nothing was changed"
    return Refusal(RefusalKind.UNAVAILABLE, "actor_busy", detail)


def _down() -> Refusal:
    return Refusal(RefusalKind.NOT_FOUND, "actor_not_found", "the actor has just ended")


def _is_suspended(ref: ActorRef) -> bool:
    life = ref.receiver(None).life
    return life is not None and life.suspension is not None
