"""What supervisors report: structured events of bounded size, to the log and to subscribers."""

from collections import Counter, deque
from collections.abc import Callable
from enum import Enum
from traceback import TracebackException

import attrs
import structlog

from runtime.child import ChildType, Restart

log = structlog.get_logger("loyalnest.supervisor")

KEPT = 256
"""Reports that are kept for those who come later."""

TEXT_MAX = 500
"""Characters of any text in a report, but the stack."""

STACK_MAX = 4_000
STACK_FRAMES_MAX = 8

Subscriber = Callable[["SupervisorReport"], object]


class ReportKind(Enum):
    """What a supervisor saw.

    START_ERROR: a child did not start, at boot or in a restart. CHILD_TERMINATED: a child ended
    that should not have. SHUTDOWN_ERROR: a child that was being stopped ended otherwise than it
    was asked to. SHUTDOWN: the supervisor gives up, after too many restarts.
    """

    START_ERROR = "start_error"
    CHILD_TERMINATED = "child_terminated"
    SHUTDOWN_ERROR = "shutdown_error"
    SHUTDOWN = "shutdown"


@attrs.frozen
class Offender:
    """The child a report is about; `children` of them when a whole pool was stopped."""

    id: str
    address: str
    restart: Restart
    significant: bool
    shutdown_s: float
    type: ChildType
    children: int = 1


@attrs.frozen
class SupervisorReport:
    """`supervisor` and `child` are addresses. `restarts` counts the child's starts after its first
    one, `restarts_in_period` those of the supervisor that count towards its intensity. `stack` is
    the end of the traceback, where an exception was the reason."""

    kind: ReportKind
    supervisor: str
    child: str
    reason: str
    offender: Offender
    restarts: int = 0
    restarts_in_period: int = 0
    stack: str = ""


def clipped(text: str, length: int = TEXT_MAX) -> str:
    """At most `length` characters of `text`, with a mark where some are missing."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def stack_of(error: BaseException | None) -> str:
    """The last frames of the traceback and the error, or its last part."""
    if error is None or error.__traceback__ is None:
        return ""
    captured = TracebackException.from_exception(error, limit=-STACK_FRAMES_MAX)
    text = "".join(captured.format())
    return text if len(text) <= STACK_MAX else f"…{text[1 - STACK_MAX :]}"


@attrs.define
class SupervisorReports:
    """Counts every report, keeps the last `KEPT`, and passes each on to the log and subscribers."""

    counts: Counter[ReportKind] = attrs.field(factory=Counter)
    latest: deque[SupervisorReport] = attrs.field(factory=lambda: deque(maxlen=KEPT))
    _subscribers: list[Subscriber] = attrs.field(factory=list)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` with every report from now on, until what is returned is called.

        It is called by the supervisor, so it must not wait; what it raises is logged.
        """
        self._subscribers.append(subscriber)

        def unsubscribe() -> None:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

        return unsubscribe

    def add(self, report: SupervisorReport, *, expected: bool = False) -> None:
        """Record and pass on. `expected`: nothing is wrong, a permanent child ended in order."""
        self.counts[report.kind] += 1
        self.latest.append(report)
        write = log.info if expected else log.error
        write(
            "supervisor_report",
            report=report.kind.value,
            supervisor=report.supervisor,
            child=report.child,
            reason=report.reason,
            children=report.offender.children,
            restarts=report.restarts,
            restarts_in_period=report.restarts_in_period,
            **({"stack": report.stack} if report.stack else {}),
        )
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(report)
            except Exception:
                log.exception("report_subscriber_failed", report=report.kind.value)
