"""Dead letters: messages that nobody will read, counted by reason."""

from collections import Counter, deque
from collections.abc import Callable
from enum import Enum

import attrs

KEPT = 256


class DeadReason(Enum):
    """Why a message was not read. `EXPIRED`: an ask ran out of time. `WITHDRAWN`: its asker went
    away."""

    MAILBOX_FULL = "mailbox_full"
    DROPPED_OLDEST = "dropped_oldest"
    COALESCED = "coalesced"
    NOT_RUNNING = "not_running"
    UNREAD_AT_EXIT = "unread_at_exit"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


@attrs.frozen
class DeadLetter:
    address: str
    message: object
    reason: DeadReason


@attrs.define
class DeadLetters:
    """Counts every dead letter and keeps the last `KEPT`."""

    counts: Counter[DeadReason] = attrs.field(factory=Counter)
    latest: deque[DeadLetter] = attrs.field(factory=lambda: deque(maxlen=KEPT))
    observer: Callable[[DeadLetter], None] | None = None

    def add(self, address: str, message: object, reason: DeadReason) -> None:
        letter = DeadLetter(address, message, reason)
        self.counts[reason] += 1
        self.latest.append(letter)
        if self.observer is not None:
            self.observer(letter)
