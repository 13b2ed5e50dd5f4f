"""Messages of the lane that user traffic cannot block."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import attrs
from attrs import validators

from runtime.exits import ExitReason
from runtime.message import Call, Cast
from runtime.message_trace import EVENTS_MAX, MessageTrace

SUSPENSION_S: Final = 60.0
SUSPENSION_MAX_S: Final = 3_600.0
TRACE_S: Final = 60.0
TRACE_MAX_S: Final = 3_600.0
TRACE_EVENTS: Final = 1_000


class SystemMessage(Cast):
    """A message that is read before anything in the mailbox."""

    __slots__ = ()


@attrs.frozen
class Stop(SystemMessage):
    """End after the message in hand."""

    reason: ExitReason


class Introspection(SystemMessage):
    """Looks at an actor, or holds it up, whatever it is: the runtime answers, not the actor.

    Without effect when whoever asked waits no more by the time it is read.
    """

    __slots__ = ()


def _at_most(most: float) -> Any:
    return validators.and_(validators.gt(0), validators.le(most))


@attrs.frozen
class Suspend(Introspection, Call[None]):
    """Stop reading the mailbox, until `Resume`, or for `for_s`; in place of a suspension that is
    in force."""

    for_s: float = attrs.field(default=SUSPENSION_S, validator=_at_most(SUSPENSION_MAX_S))


@attrs.frozen
class Resume(Introspection, Call[None]):
    """Read the mailbox again."""


@attrs.frozen
class Down(SystemMessage):
    """A watched actor has ended. `address` names it."""

    address: str
    reason: ExitReason


@attrs.frozen
class Timing:
    """How long something took, in the messages that were timed."""

    count: int
    mean_s: float
    last_s: float
    max_s: float


@attrs.frozen
class ActorStatistics:
    """Of the actor at an address.

    `depth` counts unread messages; `handled` those worked on and `failed` those of them that ended
    in an exception or at their deadline, both since the address came into being. `incarnation`
    numbers the lives of a supervised actor from 1, `restarts` is how many came before, and `since`
    is when this one began. `queue_wait` and `service` are of this incarnation, and None before a
    message was timed (one of 64, all of a traced actor). `in_hand` is the type of the message it
    works on. `suspended_for_s` and `traced_for_s` are what is left of either; None: not so.
    """

    address: str
    actor: str
    incarnation: int
    depth: int
    handled: int
    suspended: bool
    capacity: int
    waiting_senders: int
    failed: int
    restarts: int
    since: datetime
    queue_wait: Timing | None
    service: Timing | None
    in_hand: str | None
    suspended_for_s: float | None
    traced_for_s: float | None


@attrs.frozen
class Inspect(Introspection, Call[ActorStatistics]):
    """Answered through the system lane, also by a suspended actor."""


@attrs.frozen
class ActorState:
    """`state` is described as JSON, bounded, without what nobody is to see; `replaceable` are the
    names of what may be replaced."""

    address: str
    actor: str
    incarnation: int
    state: Any
    replaceable: tuple[str, ...]


@attrs.frozen
class GetState(Introspection, Call[ActorState]):
    """The state between two messages."""


@attrs.frozen
class ReplaceState(Introspection, Call[None]):
    """Put other values in place of these. Answered with `StateRefused` where the actor does not
    let them be replaced, or not by these; then nothing is changed."""

    changes: Mapping[str, Any]


@attrs.frozen
class StartTrace(Introspection, Call[MessageTrace]):
    """Take down which messages come and go, for `for_s` or until there are `events` of them; in
    place of a trace that is in force."""

    for_s: float = attrs.field(default=TRACE_S, validator=_at_most(TRACE_MAX_S))
    events: int = attrs.field(default=TRACE_EVENTS, validator=_at_most(EVENTS_MAX))


@attrs.frozen
class StopTrace(Introspection, Call[None]):
    """Take nothing down any more."""
