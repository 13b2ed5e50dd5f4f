"""What the other side of a link asks: delivered as if it had been asked here."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from trio.lowlevel import current_task

from runtime.cell import Cell
from runtime.deadletters import DeadReason
from runtime.envelope import DONE, Envelope, next_number
from runtime.errors import ActorDown, ActorError, AskCycle, Expired, MailboxFull
from runtime.links.errors import NotSendable, ProtocolViolation
from runtime.links.failures import failure_of
from runtime.links.frames import (
    REMAINING_MAX_S,
    Answer,
    Ask,
    Credit,
    Failure,
    Tell,
    encode_frame,
)
from runtime.links.wire_types import NOT_ENCODABLE, NotWireable
from runtime.mailbox import Overflow
from runtime.message_trace import look_at
from runtime.parking import monotonic
from runtime.policies.retry import NOBODY_YET, SOMEBODY, standing, standing_here
from runtime.ref import cycle_of
from runtime.sampling import SAMPLING

if TYPE_CHECKING:
    from runtime.links.session import Session
    from runtime.system import ActorSystem

CREDIT_SHARE: Final = 4
"""Credit is told with whatever is sent, and by itself once it makes up this part of the window."""


class Served(Envelope):
    """An ask of the other side, in this one. Whatever ends it here ends it there."""

    incoming: Any = None
    wire_number: int = 0
    told: int = 0

    def reply(self, value: object) -> None:
        """See `Envelope`: the asker is no task, but at the other end of the link."""
        self.state = DONE
        if self.asker is None:
            return
        self.asker = None
        self.answer = value
        if self.waiting is not None:
            self.waiting.discard(self)
        error, self.error, self.answer = self.error, None, None
        self.incoming.ended(self, value, error)


class Incoming:
    """Of one link, from its beginning to its end.

    `received` counts its messages, `finished` those that are not worked on any more; the other
    side may send `window` more than those.
    """

    def __init__(self, session: Session, system: ActorSystem, window: int) -> None:
        self.asks: dict[int, Served] = {}
        self.received = 0
        self.finished = 0
        self._announced = window
        self._window = window
        self._session = session
        self._system = system
        self._last = 0
        self._waiting: dict[Cell, deque[Envelope]] = {}

    # Credit

    @property
    def owes_credit(self) -> bool:
        """Whether so much has been finished that the other side should know by itself."""
        owed = self.finished + self._window - self._announced
        return owed >= max(1, self._window // CREDIT_SHARE)

    def credit_frame(self) -> bytes | None:
        """What to tell of credit with what is sent anyway, if there is anything new."""
        total = self.finished + self._window
        if total == self._announced:
            return None
        self._announced = total
        return encode_frame(Credit(total))

    def _receive(self) -> None:
        self.received += 1
        if self.received > self._announced:
            raise ProtocolViolation("over_credit", "more messages than were granted")

    def _finish(self) -> None:
        self.finished += 1
        self._session.nudge()

    # Asks

    def ask(self, frame: Ask) -> None:
        """Deliver it, or answer why not. Raises `ProtocolViolation` for what no peer sends."""
        self._receive()
        if frame.number <= self._last or not frame.remaining_s <= REMAINING_MAX_S:
            raise ProtocolViolation("out_of_order", f"ask {frame.number} after {self._last}")
        self._last = frame.number
        address, message = _address(frame.to, frame.key), None
        try:
            message = self._message(frame, address)
            self._deliver_ask(frame, message)
        except ActorError as error:
            types = self._session.links.spec.types
            failure = failure_of(frame.number, error, address, error.message, types)
            self._session.put(encode_frame(failure))
            self._finish()

    def _message(self, frame: Ask | Tell, address: str) -> Any:
        try:
            return self._session.links.spec.types.from_plain(frame.message)
        except NotWireable as error:
            raise NotSendable(address, None, str(error)) from error

    def _deliver_ask(self, frame: Ask, message: Any) -> None:
        if frame.remaining_s <= 0:
            address = _address(frame.to, frame.key)
            raise Expired(address, message, "deadline passed on the way")
        deadline = monotonic() + frame.remaining_s
        cell = self._receiver(frame, message)
        asking = self._session.links.directory.askers(frame.chain)
        if cell in asking:
            raise AskCycle(cell.address, message, cycle_of(asking, cell))
        served = Served(
            message=message,
            receiver=cell,
            number=next_number(),
            deadline=deadline,
            trace_id=frame.trace_id,
            asking=asking,
            retries=standing_here(frame.retries),
            asker=current_task(),
            incoming=self,
            wire_number=frame.number,
            told=frame.retries,
        )
        self.asks[frame.number] = served
        served.waiting = cell.deadlines.join(deadline, served)
        try:
            self._deliver(served)
        except ActorError:
            del self.asks[frame.number]
            served.abandon()
            raise

    def ended(self, served: Served, value: object, error: BaseException | None) -> None:
        """An ask has its answer, or its error."""
        number = served.wire_number
        if self.asks.pop(number, None) is None:
            return
        self._let_go(served)
        retried = served.told == NOBODY_YET and standing(served.retries) == SOMEBODY
        self._session.put(self._encoded(served, value, error, retried))
        self._finish()

    def _encoded(
        self, served: Served, value: object, error: BaseException | None, retried: bool
    ) -> bytes:
        try:
            data = encode_frame(self._answer(served, value, error, retried))
        except NOT_ENCODABLE as reason:
            return self._unsendable(served, str(reason), retried)
        if len(data) > self._session.introduction.offer.frame_bytes_max:
            return self._unsendable(served, f"{len(data)} bytes are too large", retried)
        return data

    def _answer(
        self, served: Served, value: object, error: BaseException | None, retried: bool
    ) -> Answer | Failure:
        types, number = self._session.links.spec.types, served.wire_number
        if error is None:
            return Answer(number, types.to_plain(value), retried)
        address, message = served.receiver.address, served.message
        return failure_of(number, error, address, message, types, retried)

    def _unsendable(self, served: Served, detail: str, retried: bool) -> bytes:
        """The work is done, and the other side will not know what came of it."""
        address = served.receiver.address
        self._session.log.error("link_answer_not_sendable", actor=address, error=detail[:500])
        detail = f"its answer cannot go over a link: {detail}"[:500]
        number = served.wire_number
        return encode_frame(Failure(number, "down", True, address, detail, None, None, retried))

    def cancel(self, number: int) -> None:
        """Nobody waits for it any more: it is withdrawn, or the work on it cancelled."""
        served = self.asks.pop(number, None)
        if served is not None:
            served.abandon()
            self._let_go(served)
            self._finish()

    def _let_go(self, served: Served) -> None:
        """It has ended: it does not wait for room any more, if it did."""
        waiting = self._waiting.get(served.receiver)
        if waiting is not None and served in waiting:
            waiting.remove(served)
            served.receiver.bury_unwanted(served)

    # Casts

    def tell(self, frame: Tell) -> None:
        """Deliver it, or bury it. Raises `ProtocolViolation` for what no peer sends."""
        self._receive()
        address = _address(frame.to, frame.key)
        try:
            message = self._message(frame, address)
            cell = self._receiver(frame, message)
            envelope = Envelope(
                message=message, receiver=cell, number=next_number(), trace_id=frame.trace_id
            )
            self._deliver(envelope)
        except ActorError as error:
            full = isinstance(error, MailboxFull)
            reason = DeadReason.MAILBOX_FULL if full else DeadReason.NOT_RUNNING
            self._system.dead_letters.add(address, error.message, reason)
            self._finish()

    # Delivery

    def _receiver(self, frame: Ask | Tell, message: object) -> Cell:
        """Where it goes, if that is here and offered. Raises `ActorDown` or `MailboxFull`."""
        offers, name = self._session.links.spec.offers, frame.to
        offered = offers.actors if frame.key is None else offers.regions
        if offered is not None and name not in offered:
            raise ActorDown(_address(name, frame.key), message, "not offered to other shards")
        if frame.key is None:
            cell = self._system.named(name)
            if cell is None:
                raise ActorDown(name, message)
            return cell
        try:
            key = self._session.links.spec.types.from_plain(frame.key)
            return self._system.entities(name).cell(key, message)
        except (NotWireable, TypeError) as error:
            raise NotSendable(name, message, f"no key: {error}") from error

    def _deliver(self, envelope: Envelope) -> None:
        """Put it into the mailbox, or behind those that wait for room in there."""
        cell = envelope.receiver
        if cell in self._waiting:
            self._waiting[cell].append(envelope)
        elif len(cell.items) < cell.limit or cell.make_room(envelope.message):
            self._put(envelope)
        elif not cell.accepting:
            raise ActorDown(cell.address, envelope.message)
        elif cell.spec.overflow is not Overflow.WAIT:
            detail = f"mailbox full ({cell.capacity})"
            raise MailboxFull(cell.address, envelope.message, detail)
        else:
            self._waiting[cell] = deque((envelope,))
            self._session.start_task(self._wait_for_room, cell)

    def _put(self, envelope: Envelope) -> None:
        if not envelope.number % SAMPLING.every:
            look_at(envelope, None)
        envelope.receiver.deliver(envelope)
        if not isinstance(envelope, Served):
            self._finish()

    async def _wait_for_room(self, cell: Cell) -> None:
        """Let those in that wait, one after another, as one sender would."""
        waiting = self._waiting[cell]
        try:
            while waiting:
                if cell.make_room(waiting[0].message):
                    self._put(waiting.popleft())
                elif not cell.accepting:
                    self._lose(waiting.popleft())
                else:
                    await cell.wait_for_room()
        finally:
            del self._waiting[cell]
            while waiting:
                self._lose(waiting.popleft())
            if cell.room is not None:
                cell.room.unpark()  # this one may have been woken, and needs the room no more

    def _lose(self, envelope: Envelope) -> None:
        if envelope.expects_reply:
            envelope.fail(ActorDown(envelope.receiver.address, envelope.message))
        else:
            envelope.receiver.bury(envelope.message, DeadReason.NOT_RUNNING)
            self._finish()

    def end(self) -> None:
        """The link has ended: nobody waits for anything any more."""
        asks, self.asks = self.asks, {}
        for served in asks.values():
            served.abandon()


def _address(to: str, key: Any) -> str:
    return to if key is None else f"{to}/…"
