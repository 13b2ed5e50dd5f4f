"""What a mailbox may hold, and what happens when it is full."""

from collections.abc import Callable, Hashable
from enum import Enum

import attrs

DEFAULT_CAPACITY = 1024


class Overflow(Enum):
    """What a full mailbox does with one more message.

    WAIT: `send` and `ask` wait for room, `tell` drops the new message.
    REJECT: `send` and `ask` raise `MailboxFull`, `tell` drops the new message.
    DROP_OLDEST: the oldest message makes room.
    COALESCE: a message replaces the unread one with the same `coalesce_key`, at any fill;
    a full mailbox without such a one rejects.
    What is dropped goes to the dead letters.
    """

    WAIT = "wait"
    REJECT = "reject"
    DROP_OLDEST = "drop_oldest"
    COALESCE = "coalesce"


@attrs.frozen
class MailboxSpec:
    """`capacity` in messages; system messages do not count."""

    capacity: int = attrs.field(default=DEFAULT_CAPACITY, validator=attrs.validators.ge(1))
    overflow: Overflow = Overflow.WAIT
    coalesce_key: Callable[[object], Hashable] = type


REFUSING = MailboxSpec(overflow=Overflow.REJECT)
"""For actors that answer clients: who comes while it is full is told so at once."""


@attrs.frozen
class MailboxStatistics:
    """`waiting_senders` wait for room; `accepted` and `handled` count since the start."""

    depth: int
    capacity: int
    waiting_senders: int
    accepted: int
    handled: int
