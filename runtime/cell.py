"""The cell: an actor's mailbox and address, which outlive its incarnations."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Protocol

from trio import CancelScope
from trio.lowlevel import ParkingLot, Task

from runtime.deadletters import DeadLetters, DeadReason
from runtime.envelope import DONE, Envelope
from runtime.errors import ActorDown, Outcome
from runtime.exits import NOT_RUNNING, ExitReason
from runtime.mailbox import MailboxSpec, MailboxStatistics, Overflow
from runtime.parking import wake
from runtime.system_messages import Down, Stop, SystemMessage

if TYPE_CHECKING:
    from runtime.askdeadlines import AskDeadlines
    from runtime.message_trace import MessageTrace


NO_ROOM: Final[deque[Envelope]] = deque(maxlen=0)
"""In place of both lanes where nothing can be put: an empty deque takes 600 bytes."""


class Life(Protocol):
    """What lives in a cell."""

    @property
    def suspension(self) -> object | None: ...
    @property
    def trace(self) -> MessageTrace | None: ...

    def kill(self) -> None:
        """End at the next checkpoint, without `stopped`."""

    def rouse(self) -> None:
        """There is something to do again: go on, in a new task."""

    def end_at_rest(self, reason: ExitReason) -> bool:
        """End at once if nothing would run meanwhile; says whether it did."""


class Cell:
    """Where messages for one address wait.

    `limit` is the number of unread messages up to which a message may simply be appended: the
    capacity while an actor is there, 0 while none is or while it rests, and 0 where a policy must
    look first. `life` is the incarnation here, which rests while there are no lanes. `batch` is
    the one in hand if it may be cancelled, otherwise empty. `notice` is what it posted.
    """

    __slots__ = (
        "accepting",
        "address",
        "batch",
        "cancelled",
        "capacity",
        "dead_letters",
        "deadlines",
        "failed",
        "handled",
        "in_hand",
        "items",
        "life",
        "limit",
        "notice",
        "parked",
        "room",
        "scope",
        "spec",
        "system_items",
        "watchers",
    )

    def __init__(
        self, address: str, spec: MailboxSpec, dead_letters: DeadLetters, deadlines: AskDeadlines
    ) -> None:
        self.address = address
        self.dead_letters = dead_letters
        self.deadlines = deadlines
        self.items = NO_ROOM
        self.system_items = NO_ROOM
        self.parked: Task | None = None
        self.room: ParkingLot | None = None
        self.watchers: set[Cell] | None = None
        self.accepting = False
        self.handled = 0
        self.failed = 0
        self.limit = 0
        self.in_hand: Envelope | None = None
        self.batch: Sequence[Envelope] = ()
        self.life: Life | None = None
        self.notice: object | None = None
        self.scope: CancelScope | None = None
        self.cancelled = False
        self.configure(spec)

    def configure(self, spec: MailboxSpec) -> None:
        """Take on a mailbox specification, before an actor moves in."""
        self.spec = spec
        self.capacity = spec.capacity

    def open(self) -> None:
        """An actor moves in, or has been roused: accept messages."""
        self.accepting = True
        self.limit = 0 if self.spec.overflow is Overflow.COALESCE else self.capacity
        if self.items is NO_ROOM:
            self.items, self.system_items = self.make_lanes()

    def make_lanes(self) -> tuple[deque[Envelope], deque[Envelope]]:
        """The mailbox and the system lane."""
        return deque(), deque()

    def clear_out(self) -> None:
        """The actor rests: both lanes are empty, and are made again when a message comes."""
        self.limit = 0
        self.items = self.system_items = NO_ROOM

    @property
    def rests(self) -> bool:
        """Whether the actor here has given up its task until the next message."""
        return self.accepting and self.items is NO_ROOM

    @property
    def idle(self) -> bool:
        """Whether the actor here has nothing to do, and nobody holds it up so that it has."""
        waits = self.parked is not None or self.rests
        held = self.life is not None and self.life.suspension is not None
        return waits and not held and not self.items and not self.system_items

    def rouse(self) -> None:
        """Have lanes, for one more message."""
        if self.life is not None and self.rests:
            self.life.rouse()

    def deliver(self, envelope: Envelope) -> None:
        """Append and wake the actor; the caller has checked for room."""
        self.items.append(envelope)
        self.nudge()

    def nudge(self) -> None:
        """Wake the actor if it waits for messages."""
        task = self.parked
        if task is not None:
            self.parked = None
            wake(task, self)

    def make_room(self, message: object) -> bool:
        """Apply the overflow policy for one more message; whether it may be appended now."""
        if not self.accepting:
            return False
        if self.items is NO_ROOM:
            self.rouse()
        if self.spec.overflow is Overflow.COALESCE:
            self._coalesce(message)
        if len(self.items) < self.capacity:
            return True
        if self.spec.overflow is Overflow.DROP_OLDEST:
            self._discard(self.items.popleft(), DeadReason.DROPPED_OLDEST)
            return True
        return False

    def _coalesce(self, message: object) -> None:
        key = self.spec.coalesce_key(message)
        for envelope in self.items:
            if self.spec.coalesce_key(envelope.message) == key:
                self.items.remove(envelope)
                self._discard(envelope, DeadReason.COALESCED)
                return

    def signal(self, message: SystemMessage) -> bool:
        """Put a message into the system lane, which has no bound; false when nobody is there."""
        return self.deliver_system(Envelope(message=message, receiver=self, number=0))

    def deliver_system(self, envelope: Envelope) -> bool:
        if not self.accepting:
            return False
        if self.rests and self.life is not None:
            message = envelope.message
            if isinstance(message, Stop) and self.life.end_at_rest(message.reason):
                return True
            self.life.rouse()
        self.system_items.append(envelope)
        self.nudge()
        return True

    def took(self, count: int) -> None:
        """So many messages were taken up: let as many waiting senders in."""
        self.handled += count
        self._let_in(count)

    def _let_in(self, count: int) -> None:
        if self.room is not None:
            self.room.unpark(count=count)

    def withdraw(self, envelope: Envelope) -> None:
        """Drop an unread message whose asker waits no more, which makes room for another."""
        try:
            self.items.remove(envelope)
        except ValueError:  # put aside, or in the system lane: found at its turn
            return
        self._let_in(1)
        self.bury_unwanted(envelope)

    def put_back(self, envelope: Envelope) -> None:
        """It was taken up, and is not to be begun: nobody waits for it any more."""
        self.handled -= 1
        self.bury_unwanted(envelope)

    def cancel_work(self, envelope: Envelope) -> None:
        """Cancel the handler if it works for `envelope`, whose asker waits no more, and for nobody
        else."""
        if self.scope is not None and (self.in_hand is envelope or self._is_unwanted(envelope)):
            self.cancelled = True
            self.scope.cancel()

    def _is_unwanted(self, envelope: Envelope) -> bool:
        """Whether the batch in hand holds `envelope`, and nobody waits for any of it."""
        return envelope in self.batch and all(other.withdrawn for other in self.batch)

    async def wait_for_room(self) -> None:
        """Wait until there may be room, or the actor has gone. A checkpoint."""
        if self.room is None:
            self.room = ParkingLot()
        await self.room.park()

    def watch(self, watcher: Cell) -> None:
        """`watcher` gets `Down` when the actor here ends, at once if none is here."""
        if self.accepting:
            self.watchers = self.watchers or set()
            self.watchers.add(watcher)
        else:
            watcher.signal(Down(self.address, NOT_RUNNING))

    def close(self, reason: ExitReason, in_hand: tuple[Envelope, ...]) -> None:
        """The actor has ended: answer its askers, bury the unread, tell the watchers.

        `in_hand` are envelopes that it had taken up and not answered, beside the present one.
        """
        self.accepting = False
        self.limit = 0
        self.parked = None
        self.cancelled = False
        self.batch = ()
        self.life = None
        self.notice = None
        if self.in_hand is not None:
            in_hand = (self.in_hand, *in_hand)
            self.in_hand = None
        for envelope in in_hand:
            self._lose(envelope, reason, Outcome.UNKNOWN)
        unread = [*self.system_items, *self.items]
        self.items.clear()
        self.system_items.clear()
        self.items = self.system_items = NO_ROOM
        for envelope in unread:
            if envelope.withdrawn:
                self.bury_unwanted(envelope)
            else:
                self._lose(envelope, reason, Outcome.NOT_DELIVERED)
        if self.room is not None:
            self.room.unpark_all()
        watchers, self.watchers = self.watchers, None
        for watcher in sorted(watchers or (), key=attrgetter("address")):
            watcher.signal(Down(self.address, reason))

    def _lose(self, envelope: Envelope, reason: ExitReason, outcome: Outcome) -> None:
        if envelope.state is DONE:
            return
        if envelope.expects_reply:
            detail = f"ended ({reason})"
            envelope.fail(ActorDown(self.address, envelope.message, detail, outcome=outcome))
        elif outcome is Outcome.NOT_DELIVERED and envelope.number:
            self.bury(envelope.message, DeadReason.UNREAD_AT_EXIT)

    def _discard(self, envelope: Envelope, reason: DeadReason) -> None:
        self.bury(envelope.message, reason)
        envelope.fail(ActorDown(self.address, envelope.message, f"dropped: {reason.value}"))

    def bury(self, message: object, reason: DeadReason) -> None:
        self.dead_letters.add(self.address, message, reason)

    def bury_unwanted(self, envelope: Envelope) -> None:
        """A message that was withdrawn before it was taken up."""
        expired = envelope.state is DONE
        self.bury(envelope.message, DeadReason.EXPIRED if expired else DeadReason.WITHDRAWN)

    def statistics(self) -> MailboxStatistics:
        senders = self.room.statistics().tasks_waiting if self.room is not None else 0
        depth = len(self.items)
        return MailboxStatistics(depth, self.capacity, senders, self.handled + depth, self.handled)
