"""Looking at an actor from outside, as OTP's `sys` does: the runtime answers in its place.

What this knows of an actor that nobody looks at are two fields that are None.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import structlog
import trio

from runtime.actor import DEFERRED
from runtime.describing import described
from runtime.envelope import Envelope
from runtime.message_trace import MessageTrace, TraceEnd
from runtime.parking import monotonic
from runtime.state import StateRefused, refusing
from runtime.system_messages import (
    ActorState,
    ActorStatistics,
    GetState,
    Inspect,
    ReplaceState,
    Resume,
    StartTrace,
    StopTrace,
    Suspend,
    Timing,
)

if TYPE_CHECKING:
    from runtime.incarnation import Incarnation
    from runtime.system import ActorSystem

log = structlog.get_logger("loyalnest.introspection")


@attrs.define(eq=False)
class Suspension:
    """`until` is on Trio's clock; `over` is set when the mailbox is read again, or the actor has
    ended."""

    until: float
    over: trio.Event = attrs.field(factory=trio.Event)


@attrs.define
class Tally:
    """How long what was timed took."""

    count: int = 0
    total_s: float = 0.0
    last_s: float = 0.0
    max_s: float = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.total_s += seconds
        self.last_s = seconds
        self.max_s = max(self.max_s, seconds)

    def timing(self) -> Timing | None:
        if not self.count:
            return None
        return Timing(self.count, self.total_s / self.count, self.last_s, self.max_s)


@attrs.define
class Times:
    """Of one incarnation, made with its first message that is timed."""

    waits: Tally = attrs.field(factory=Tally)
    services: Tally = attrs.field(factory=Tally)


def introspect(life: Incarnation, envelope: Envelope) -> None:
    """Do what is asked for between two messages, and answer it. Raises nothing."""
    answer: object = None
    match envelope.message:
        case Inspect():
            answer = statistics(life)
        case Suspend(for_s=for_s):
            suspend(life, for_s)
        case Resume():
            resume(life)
        case StartTrace(for_s=for_s, events=events):
            answer = start_trace(life, for_s, events)
        case StopTrace():
            stop_trace(life, TraceEnd.STOPPED)
        case GetState() | ReplaceState():
            try:
                answer = _state(life, envelope.message)
            except Exception as error:
                envelope.fail(error)
                return
    envelope.reply(answer)


def _state(life: Incarnation, message: GetState | ReplaceState) -> ActorState | None:
    actor = life.actor
    if isinstance(message, GetState):
        state = described(actor.shown_state())
        kind, names = type(actor).__name__, tuple(sorted(actor.replaceable))
        return ActorState(life.cell.address, kind, life.number, state, names)
    try:
        refusing(actor.replace_state, message.changes)
    except StateRefused as refused:
        log.warning("state_not_replaced", actor=life.cell.address, why=str(refused)[:500])
        raise
    log.warning("state_replaced", actor=life.cell.address, fields=sorted(message.changes))
    return None


def suspend(life: Incarnation, for_s: float) -> None:
    """Read nothing but the system lane, for this time at most."""
    until = monotonic() + for_s
    if life.suspension is None:
        life.suspension = Suspension(until)
    else:
        life.suspension.until = until
    life.system.expiries.put((life, Suspend), until, partial(resume, life))


def resume(life: Incarnation) -> None:
    """Read the mailbox again; without effect on one that does."""
    suspension, life.suspension = life.suspension, None
    if suspension is not None:
        life.system.expiries.remove((life, Suspend))
        suspension.over.set()
        life.cell.nudge()


def start_trace(life: Incarnation, for_s: float, events: int) -> MessageTrace:
    """Take down messages from now on."""
    stop_trace(life, TraceEnd.REPLACED)
    off = partial(_unhook, life)
    trace = MessageTrace(life.cell.address, life.system.clock, for_s, events, off)
    over = partial(trace.finish, TraceEnd.TIME)
    life.system.expiries.put((life, StartTrace), trace.ends_at, over)
    life.watch_with(trace)
    return trace


def stop_trace(life: Incarnation, end: TraceEnd) -> None:
    """Take down nothing any more."""
    if life.trace is not None:
        life.trace.finish(end)


def _unhook(life: Incarnation, trace: MessageTrace) -> None:
    if life.trace is trace:
        life.system.expiries.remove((life, StartTrace))
        life.watch_with(None)


def release(life: Incarnation) -> None:
    """The incarnation has ended, and with it all that was done to it."""
    resume(life)
    stop_trace(life, TraceEnd.ACTOR_ENDED)


def held_up(system: ActorSystem) -> tuple[ActorStatistics, ...]:
    """Of every actor that is suspended or traced at present."""
    lives = {key[0]: None for key in system.expiries if isinstance(key, tuple)}
    return tuple(map(statistics, lives))


async def observed(
    life: Incarnation, receive: Callable[[Any], Awaitable[object]], message: object
) -> object:
    """Handle a message, or what a timer sent, under the eyes of the trace."""
    trace, envelope = life.trace, life.cell.in_hand
    if trace is None:
        return await receive(message)
    if envelope is None or envelope.message is not message:
        envelope = Envelope(message=message, receiver=life.cell, number=0)
    with trace.handling((envelope,)) as outcome:
        value = await receive(message)
        if value is DEFERRED:
            outcome.append("deferred")
        elif envelope.expects_reply:
            outcome.append("answered")
    return value


def statistics(life: Incarnation) -> ActorStatistics:
    """What is known of the actor, without asking it."""
    cell, times, now = life.cell, life.times, monotonic()
    mailbox = cell.statistics()
    age = timedelta(seconds=now - life.began_at)
    in_hand = cell.in_hand if cell.in_hand is not None else life.first_of_batch
    return ActorStatistics(
        address=cell.address,
        actor=type(life.actor).__name__,
        incarnation=life.number,
        depth=mailbox.depth,
        handled=mailbox.handled,
        suspended=life.suspension is not None,
        capacity=mailbox.capacity,
        waiting_senders=mailbox.waiting_senders,
        failed=cell.failed,
        restarts=max(0, life.number - 1),
        since=life.system.clock.now() - age,
        queue_wait=times.waits.timing() if times is not None else None,
        service=times.services.timing() if times is not None else None,
        in_hand=type(in_hand.message).__name__ if in_hand is not None else None,
        suspended_for_s=life.suspension.until - now if life.suspension is not None else None,
        traced_for_s=life.trace.ends_at - now if life.trace is not None else None,
    )
