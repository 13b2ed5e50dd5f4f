"""What may be said to the desk through which operators look at actors."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

import attrs

from actors.vocabulary import Refusal, RefusalKind
from gateway.switch_messages import Order
from runtime.introspection import Suspension
from runtime.message import Call, Cast
from runtime.message_trace import MessageTrace
from runtime.system_messages import ActorState, ActorStatistics

INTROSPECTION: Final = "controls.introspection"
"""Name of the actor that operators look at others through.

Every message names an `actor`: by its address in the tree, by its name, or as `region/key`.
"""


NOT_SUSPENDED: Final = Refusal(RefusalKind.NOT_FOUND, "not_suspended", "the actor is not suspended")


class Hold(Enum):
    """What is done to an actor as long as somebody asks for it."""

    SUSPENSION = "suspension"
    TRACE = "trace"


@attrs.frozen
class GetStatistics(Call[ActorStatistics | Refusal]):
    """What is known of an actor, also of one that does not answer."""

    actor: str


@attrs.frozen
class GetHeldUp(Call[tuple[ActorStatistics, ...]]):
    """Those that are suspended or traced at present."""


@attrs.frozen
class GetActorState(Call[ActorState | Refusal]):
    """The state of an actor between two messages."""

    actor: str


@attrs.frozen
class ReplaceActorState(Call[ActorState | Refusal]):
    """Put other values in place of these. The audit log is certain to have it when it happens."""

    actor: str
    changes: Mapping[str, Any]
    order: Order


@attrs.frozen
class SuspendActor(Call[ActorStatistics | Refusal]):
    """Hold an actor up for `order.for_s`. Audited as `ReplaceActorState`.

    With `hold` only as long as somebody asks for it (`GetSuspension`) every now and then.
    """

    actor: str
    order: Order
    hold: bool = False


@attrs.frozen
class ResumeActor(Call[ActorStatistics | Refusal]):
    """Let an actor go on. It does in any case; the audit log has it as soon as it can."""

    actor: str
    order: Order


@attrs.frozen
class TraceActor(Call[MessageTrace | Refusal]):
    """Take down an actor's messages for `order.for_s`, or so many `events` of them. Audited and
    held as `SuspendActor`."""

    actor: str
    events: int
    order: Order
    hold: bool = False


@attrs.frozen
class EndTrace(Call[MessageTrace | Refusal]):
    """Take nothing down any more. What was is still there."""

    actor: str
    order: Order


@attrs.frozen
class GetTrace(Call[MessageTrace | Refusal]):
    """The trace of an actor, also one that is over. Renews what holds it."""

    actor: str


@attrs.frozen
class GetSuspension(Call[Suspension | Refusal]):
    """The suspension of an actor. Renews what holds it."""

    actor: str


@attrs.frozen
class LetGo(Cast):
    """Whoever held the actor has gone."""

    actor: str
    what: Hold


@attrs.frozen
class HoldOver(Cast):
    """To itself: nobody has asked for what is held for too long."""

    address: str
    what: Hold
