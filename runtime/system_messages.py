"""Messages of the lane that user traffic cannot block."""

import attrs

from runtime.exits import ExitReason
from runtime.message import Call, Cast


class SystemMessage(Cast):
    """A message that is read before anything in the mailbox."""

    __slots__ = ()


@attrs.frozen
class Stop(SystemMessage):
    """End after the message in hand."""

    reason: ExitReason


@attrs.frozen
class Suspend(SystemMessage):
    """Stop reading the mailbox, until `Resume`."""


@attrs.frozen
class Resume(SystemMessage):
    """Read the mailbox again."""


@attrs.frozen
class Down(SystemMessage):
    """A watched actor has ended. `address` names it."""

    address: str
    reason: ExitReason


@attrs.frozen
class ActorStatistics:
    """Of one incarnation. `depth` counts unread messages, `handled` those worked on."""

    address: str
    actor: str
    incarnation: int
    depth: int
    handled: int
    suspended: bool


@attrs.frozen
class Inspect(Call[ActorStatistics]):
    """Answered through the system lane, also by a suspended actor."""
