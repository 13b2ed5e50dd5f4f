"""Traces of an actor's messages: what came, what was sent, how it went; bounded in every way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import attrs
import trio

from runtime.describing import described, text
from runtime.envelope import DONE
from runtime.parking import monotonic
from runtime.sampling import SAMPLING, TIMED

if TYPE_CHECKING:
    from runtime.cell import Cell
    from runtime.context import Ambient
    from runtime.envelope import Envelope
    from runtime.ports import Clock

EVENTS_MAX: Final = 10_000
"""Events after which any trace is over."""

KEPT_MAX: Final = 256
"""Events that are kept for whoever reads them; older ones are missed."""

WAITS_MAX: Final = 1_024


class TraceKind(Enum):
    """A message was taken up, has been handled, or was sent to somebody else."""

    RECEIVED = "received"
    HANDLED = "handled"
    SENT = "sent"


class TraceEnd(Enum):
    """Why a trace is over."""

    TIME = "its time is up"
    EVENTS = "it has all its events"
    STOPPED = "stopped"
    REPLACED = "another trace took its place"
    ACTOR_ENDED = "the actor ended"


@attrs.frozen
class TraceEvent:
    """`number` counts the events of a trace from 1.

    `message` is a type and `content` its description, bounded and redacted. `peer` is to whom it
    was sent, or, where that is known, who asked. `envelope` numbers messages within the process;
    `causation` is that of the message its sender was working on, or 0. `wait_s` is how long it was
    in the mailbox, `service_s` how long its handler took, `outcome` how that ended.
    """

    number: int
    at: datetime
    kind: TraceKind
    message: str
    content: Any = None
    peer: str | None = None
    envelope: int = 0
    causation: int = 0
    trace_id: str | None = None
    wait_s: float | None = None
    service_s: float | None = None
    outcome: str | None = None


class MessageTrace:
    """A trace of one incarnation. Whoever started it reads it here, without asking the actor."""

    def __init__(
        self,
        address: str,
        clock: Clock,
        for_s: float,
        events: int,
        on_end: Callable[[MessageTrace], None],
    ) -> None:
        self.address = address
        self.ends_at = monotonic() + for_s
        self.events_max = events
        self.count = 0
        self.end: TraceEnd | None = None
        self._clock = clock
        self._on_end = on_end
        self._kept: deque[TraceEvent] = deque(maxlen=KEPT_MAX)
        self._waits: dict[int, float] = {}
        self._more = trio.Event()
        SAMPLING.more()

    def finish(self, end: TraceEnd) -> None:
        """Take down nothing any more. The first reason counts."""
        if self.end is None:
            self.end = end
            self._waits.clear()
            self._more.set()
            SAMPLING.less()
            self._on_end(self)

    def after(self, number: int) -> tuple[TraceEvent, ...]:
        """The events behind this one that are still kept, in order."""
        return tuple(event for event in self._kept if event.number > number)

    async def wait(self, number: int) -> None:
        """Until there is an event behind this one, or the trace is over. A checkpoint."""
        await trio.lowlevel.checkpoint()
        while self.count <= number and self.end is None:
            await self._more.wait()

    def waited(self, envelope: Envelope, seconds: float) -> None:
        """How long a message was in the mailbox that is taken up now."""
        if len(self._waits) >= WAITS_MAX:
            self._waits.clear()
        self._waits[envelope.number] = seconds

    def sent(self, envelope: Envelope) -> None:
        """The actor, or a task of it, sent this."""
        self._add(TraceKind.SENT, envelope, peer=envelope.receiver.address, content=True)

    def received(self, envelope: Envelope) -> None:
        """It was taken up."""
        wait_s = self._waits.pop(envelope.number, None)
        asker = envelope.asking[-1] if envelope.asking and envelope.expects_reply else None
        peer = getattr(asker, "address", None)
        self._add(TraceKind.RECEIVED, envelope, peer=peer, content=True, wait_s=wait_s)

    def handled(self, envelope: Envelope, outcome: str, service_s: float) -> None:
        """Its handler has ended."""
        self._add(TraceKind.HANDLED, envelope, outcome=outcome, service_s=service_s)

    def _add(
        self, kind: TraceKind, envelope: Envelope, *, content: bool = False, **rest: Any
    ) -> None:
        if self.end is not None:
            return
        if monotonic() >= self.ends_at:
            self.finish(TraceEnd.TIME)
            return
        self.count += 1
        peer = rest.pop("peer", None)
        event = TraceEvent(
            number=self.count,
            at=self._clock.now(),
            kind=kind,
            message=type(envelope.message).__name__,
            content=described(envelope.message) if content else None,
            peer=text(peer) if peer is not None else None,
            envelope=envelope.number,
            causation=envelope.causation,
            trace_id=envelope.trace_id,
            **rest,
        )
        self._kept.append(event)
        more, self._more = self._more, trio.Event()
        more.set()
        if self.count >= self.events_max:
            self.finish(TraceEnd.EVENTS)

    @contextmanager
    def handling(self, envelopes: Sequence[Envelope]) -> Iterator[list[str]]:
        """Takes down that these are handled in the block, and how it went: as the block says
        itself by adding it to the list, or as far as can be told."""
        said: list[str] = []
        for envelope in envelopes:
            self.received(envelope)
        began = monotonic()
        failure: BaseException | None = None
        try:
            yield said
        except BaseException as error:
            failure = error
            raise
        finally:
            took = monotonic() - began
            for envelope in envelopes:
                outcome = said[0] if said else _outcome(envelope, failure)
                self.handled(envelope, outcome, took)


def _outcome(envelope: Envelope, failure: BaseException | None) -> str:
    """How the handling of a message went, as far as the runtime can tell then."""
    if isinstance(failure, trio.Cancelled):
        return "cancelled"
    wrong = failure or envelope.error
    if wrong is not None:
        return f"failed: {type(wrong).__name__}"
    if envelope.state is DONE:
        return "answered"
    return "deferred" if envelope.expects_reply else "done"


def trace_of(ambient: Ambient | None) -> MessageTrace | None:
    """The trace of the actor whose work is in progress, if it is traced."""
    cell: Cell | Any = ambient.actor if ambient is not None else None
    return cell.life.trace if cell is not None and cell.life is not None else None


def look_at(envelope: Envelope, ambient: Ambient | None) -> None:
    """A message on its way that is one of those looked at more closely.

    It is timed when it is one of `TIMED`, or its receiver is traced.
    """
    if SAMPLING.every == TIMED:  # nobody is traced: what follows would cost a tell 2%
        envelope.plain = False
        envelope.sent_at = monotonic()
        return
    life = envelope.receiver.life
    if not envelope.number % TIMED or (life is not None and life.trace is not None):
        envelope.plain = False
        envelope.sent_at = monotonic()
    trace = trace_of(ambient)
    if trace is not None:
        trace.sent(envelope)
