"""The actor runtime. It knows nothing of loyalty; `docs/semantics.md` states its guarantees."""

from runtime.actor import DEFERRED, Actor
from runtime.child import (
    BRUTAL,
    INFINITE,
    Backoff,
    ChildSpec,
    ChildState,
    Restart,
    Strategy,
)
from runtime.context import request_context
from runtime.entity import Entities, Entity
from runtime.envelope import Envelope
from runtime.errors import (
    ActorDown,
    ActorError,
    AskCycle,
    AskTimeout,
    Expired,
    MailboxFull,
    Outcome,
    StartFailed,
)
from runtime.exits import ExitKind, ExitReason
from runtime.mailbox import REFUSING, MailboxSpec, Overflow
from runtime.message import Call, Cast, Message
from runtime.ref import ActorRef, ask_all
from runtime.region import EntityRef, Region
from runtime.supervisor import (
    AdminError,
    ChildStatus,
    CountChildren,
    DeleteChild,
    RestartChild,
    StartChild,
    Supervisor,
    TerminateChild,
    WhichChildren,
)
from runtime.system import ActorSystem, RootDown
from runtime.system_messages import Down, Inspect, Resume, Stop, Suspend
from runtime.workers import Workers

__all__ = [
    "BRUTAL",
    "DEFERRED",
    "INFINITE",
    "REFUSING",
    "Actor",
    "ActorDown",
    "ActorError",
    "ActorRef",
    "ActorSystem",
    "AdminError",
    "AskCycle",
    "AskTimeout",
    "Backoff",
    "Call",
    "Cast",
    "ChildSpec",
    "ChildState",
    "ChildStatus",
    "CountChildren",
    "DeleteChild",
    "Down",
    "Entities",
    "Entity",
    "EntityRef",
    "Envelope",
    "ExitKind",
    "ExitReason",
    "Expired",
    "Inspect",
    "MailboxFull",
    "MailboxSpec",
    "Message",
    "Outcome",
    "Overflow",
    "Region",
    "Restart",
    "RestartChild",
    "Resume",
    "RootDown",
    "StartChild",
    "StartFailed",
    "Stop",
    "Strategy",
    "Supervisor",
    "Suspend",
    "TerminateChild",
    "WhichChildren",
    "Workers",
    "ask_all",
    "request_context",
]
