"""How an actor ended: the exit kinds of OTP."""

from enum import Enum

import attrs


class ExitKind(Enum):
    """`NORMAL` and `SHUTDOWN` are expected ends, the others are not."""

    NORMAL = "normal"
    SHUTDOWN = "shutdown"
    KILLED = "killed"
    CRASHED = "crashed"


@attrs.frozen
class ExitReason:
    kind: ExitKind
    detail: str = ""
    error: BaseException | None = None

    @property
    def expected(self) -> bool:
        """Whether a transient child that ends like this stays down."""
        return self.kind in (ExitKind.NORMAL, ExitKind.SHUTDOWN)

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.detail}" if self.detail else self.kind.value


NORMAL = ExitReason(ExitKind.NORMAL)
SHUTDOWN = ExitReason(ExitKind.SHUTDOWN)
KILLED = ExitReason(ExitKind.KILLED)
NOT_RUNNING = ExitReason(ExitKind.SHUTDOWN, "not running")


def crashed(error: BaseException) -> ExitReason:
    """The exit of an actor that raised `error`, or a group of only that."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    try:
        text = str(error)
    except Exception:
        text = "an exception without a text"
    return ExitReason(ExitKind.CRASHED, f"{type(error).__name__}: {text}", error)
