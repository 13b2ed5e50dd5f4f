"""What this side of a link asks: numbers, credit, and the answers that come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from runtime.deadletters import DeadReason
from runtime.envelope import DONE, TAKEN, Envelope
from runtime.links.errors import LinkDown, LinkLost, NotSendable
from runtime.links.failures import error_of
from runtime.links.frames import (
    REMAINING_MAX_S,
    Answer,
    Ask,
    Cancel,
    Failure,
    Tell,
    encode_frame,
)
from runtime.links.keyed import KeyedCell
from runtime.links.wire_types import NOT_ENCODABLE, NotWireable
from runtime.parking import monotonic
from runtime.policies.retry import standing, taken_elsewhere

if TYPE_CHECKING:
    from runtime.links.session import Session


@attrs.frozen(eq=False)
class Underway:
    """The work on an ask, far away: what its asker's end cancels. See `Envelope.scope`."""

    outgoing: Outgoing
    number: int

    def cancel(self) -> None:
        self.outgoing.give_up(self.number)


class Outgoing:
    """Of one link, from its beginning to its end.

    A message that is posted waits in the link's queue and is not *sent* before the queue gets to
    it: until then its asker's end withdraws it, and it has not been delivered. `granted` counts
    all messages that may have been sent, `posted` those that were.
    """

    def __init__(self, session: Session, granted: int) -> None:
        self.granted = granted
        self.posted = 0
        self.asks: dict[int, Envelope] = {}
        self._session = session
        self._number = 0

    @property
    def credit(self) -> int:
        """How many more may be posted."""
        return self.granted - self.posted

    def post(self, envelope: Envelope) -> None:
        """Send it when its turn comes. There is credit for it."""
        self.posted += 1
        self._session.put(envelope)

    def grant(self, total: int) -> None:
        """The other side takes so many, counted from the beginning."""
        if total > self.granted:
            self.granted = total
            self._session.peer.changed()

    def encoded(self, envelope: Envelope) -> bytes | None:
        """The frame of a posted message, which counts as sent from now on. None where it is not
        to be sent: nobody waits for it, or it cannot be."""
        frame = None
        if envelope.withdrawn:
            envelope.receiver.bury_unwanted(envelope)
        else:
            frame = self._encode(envelope)
        if frame is None:
            self.posted -= 1
            self._session.peer.changed()
        return frame

    def _encode(self, envelope: Envelope) -> bytes | None:
        number = self._number + 1
        try:
            data = encode_frame(self._frame(envelope, number))
        except NOT_ENCODABLE as error:
            self._refuse(envelope, str(error))
            return None
        if len(data) > self._session.introduction.offer.frame_bytes_max:
            self._refuse(envelope, f"{len(data)} bytes are too large for a link")
            return None
        self._number = number
        envelope.state = TAKEN
        if envelope.expects_reply:
            self.asks[number] = envelope
            envelope.scope = Underway(self, number)
        return data

    def _frame(self, envelope: Envelope, number: int) -> Ask | Tell:
        links, receiver = self._session.links, envelope.receiver
        stands_for = links.directory.stands_for(receiver)
        to = stands_for[1] if stands_for is not None else receiver.address
        key = None
        if isinstance(receiver, KeyedCell):
            to, key = receiver.region, links.spec.types.to_plain(receiver.key)
        message = links.spec.types.to_plain(envelope.message)
        if not envelope.expects_reply:
            return Tell(to, key, message, envelope.trace_id)
        return Ask(
            number,
            to,
            key,
            message,
            min(envelope.deadline - monotonic(), REMAINING_MAX_S),
            envelope.trace_id,
            links.directory.chain_of(envelope.asking),
            standing(envelope.retries),
        )

    def _refuse(self, envelope: Envelope, detail: str) -> None:
        address = envelope.receiver.address
        self._session.log.error("link_message_not_sendable", actor=address, error=detail[:500])
        if envelope.expects_reply:
            envelope.fail(NotSendable(address, envelope.message, detail))
        else:
            envelope.receiver.bury(envelope.message, DeadReason.NOT_RUNNING)

    def give_up(self, number: int) -> None:
        """Nobody waits for this one any more: the other side is told."""
        if self.asks.pop(number, None) is not None:
            self._session.put(encode_frame(Cancel(number)))
            self._session.nudge()

    def answered(self, answer: Answer) -> None:
        envelope = self._take(answer.number, answer.retried)
        if envelope is None:
            return
        try:
            value: Any = self._session.links.spec.types.from_plain(answer.value)
        except NotWireable as error:
            detail = f"the answer cannot be read: {error}"
            envelope.fail(LinkLost(envelope.receiver.address, envelope.message, detail))
        else:
            envelope.reply(value)

    def failed(self, failure: Failure) -> None:
        envelope = self._take(failure.number, failure.retried)
        if envelope is not None:
            envelope.fail(error_of(failure, envelope, self._session.links.spec.types))

    def _take(self, number: int, retried: bool) -> Envelope | None:
        """The ask that is answered, unless its asker has gone meanwhile."""
        envelope = self.asks.pop(number, None)
        if envelope is not None:
            envelope.scope = None
            self._session.nudge()
            if retried:
                taken_elsewhere(envelope.retries)
        return envelope

    def end(self, unsent: list[Envelope], reason: str) -> None:
        """The link has ended: nobody answers any more, and what has not been sent never is."""
        for envelope in unsent:
            refuse(envelope, f"the link ended before it was sent ({reason})")
        asks, self.asks = self.asks, {}
        for envelope in asks.values():
            envelope.scope = None
            detail = f"the link was lost before the answer came ({reason})"
            envelope.fail(LinkLost(envelope.receiver.address, envelope.message, detail))


def proxy_of(envelope: Envelope) -> Any:
    """The cell of the proxy in whose mailbox it was."""
    receiver = envelope.receiver
    return receiver.host if isinstance(receiver, KeyedCell) else receiver


def refuse(envelope: Envelope, detail: str) -> None:
    """It is not sent, so it is not delivered."""
    receiver = envelope.receiver
    if envelope.withdrawn:
        receiver.bury_unwanted(envelope)
    elif envelope.expects_reply:
        envelope.fail(LinkDown(receiver.address, envelope.message, detail))
    elif envelope.state is not DONE:
        receiver.bury(envelope.message, DeadReason.NOT_RUNNING)
