"""The actor runtime. It knows nothing of loyalty; `docs/semantics.md` states its guarantees."""

from runtime.actor import DEFERRED, Actor
from runtime.administration import (
    AdminError,
    ChildCounts,
    ChildStatus,
    CountChildren,
    DeleteChild,
    GetChildSpec,
    Reconfigure,
    Refused,
    RestartChild,
    StartChild,
    Started,
    TerminateChild,
    WhichChildren,
)
from runtime.at_hand import AtHand
from runtime.child import (
    BRUTAL,
    INFINITE,
    Backoff,
    ChildSpec,
    ChildState,
    ChildType,
    Restart,
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
    InvalidSpec,
    MailboxFull,
    NameTaken,
    Outcome,
    StartFailed,
)
from runtime.exits import KILLED, NORMAL, SHUTDOWN, ExitKind, ExitReason
from runtime.flags import AutoShutdown, Strategy, SupervisorFlags, check_children, check_flags
from runtime.mailbox import REFUSING, MailboxSpec, Overflow
from runtime.message import Call, Cast, Message
from runtime.message_trace import MessageTrace, TraceEnd, TraceEvent, TraceKind
from runtime.ref import ActorRef, ask_all
from runtime.region import EntityRef, Region
from runtime.reports import Offender, ReportKind, SupervisorReport, SupervisorReports
from runtime.starting import IGNORE, Ignore, StartInfo
from runtime.state import StateRefused
from runtime.supervisor import Supervisor
from runtime.system import ActorSystem, RootDown
from runtime.system_messages import (
    ActorState,
    ActorStatistics,
    Down,
    Inspect,
    Resume,
    Stop,
    Suspend,
    Timing,
)
from runtime.workers import Workers

__all__ = [
    "BRUTAL",
    "DEFERRED",
    "IGNORE",
    "INFINITE",
    "KILLED",
    "NORMAL",
    "REFUSING",
    "SHUTDOWN",
    "Actor",
    "ActorDown",
    "ActorError",
    "ActorRef",
    "ActorState",
    "ActorStatistics",
    "ActorSystem",
    "AdminError",
    "AskCycle",
    "AskTimeout",
    "AtHand",
    "AutoShutdown",
    "Backoff",
    "Call",
    "Cast",
    "ChildCounts",
    "ChildSpec",
    "ChildState",
    "ChildStatus",
    "ChildType",
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
    "GetChildSpec",
    "Ignore",
    "Inspect",
    "InvalidSpec",
    "MailboxFull",
    "MailboxSpec",
    "Message",
    "MessageTrace",
    "NameTaken",
    "Offender",
    "Outcome",
    "Overflow",
    "Reconfigure",
    "Refused",
    "Region",
    "ReportKind",
    "Restart",
    "RestartChild",
    "Resume",
    "RootDown",
    "StartChild",
    "StartFailed",
    "StartInfo",
    "Started",
    "StateRefused",
    "Stop",
    "Strategy",
    "Supervisor",
    "SupervisorFlags",
    "SupervisorReport",
    "SupervisorReports",
    "Suspend",
    "TerminateChild",
    "Timing",
    "TraceEnd",
    "TraceEvent",
    "TraceKind",
    "WhichChildren",
    "Workers",
    "ask_all",
    "check_children",
    "check_flags",
    "request_context",
]
