"""What a command tells a person whose wish it cannot fulfil: one line and an exit code."""

import errno
from collections.abc import Iterator
from typing import TypeVar

from actors.auth.errors import KeyFileError
from config import SettingsError
from gateway.errors import ListenError
from runtime import ActorError, RootDown
from runtime.storage import StorageError, StorageLocked

EXIT_FAILED = 1
EXIT_USAGE = 2
MAX_CAUSES = 20


Cause = TypeVar("Cause", bound=BaseException)


class CommandFailed(Exception):
    """A command cannot go on, for a reason its user can understand and change."""

    def __init__(self, text: str, exit_code: int = EXIT_FAILED) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def explain(error: BaseException) -> CommandFailed | None:
    """The reason in a user's terms, looked for in groups and causes; `None` for a bug."""
    for cause in _causes(error, MAX_CAUSES):
        match cause:
            case CommandFailed():
                return cause
            case SettingsError():
                return CommandFailed(str(cause), EXIT_USAGE)
            case StorageLocked():
                return CommandFailed(_locked(cause))
            case StorageError() | ListenError() | KeyFileError():
                return CommandFailed(_one_line(cause))
            case RootDown():
                return CommandFailed(
                    f"the application gave up: {_one_line(cause)}; its log says why"
                )
            case ActorError():
                return CommandFailed(f"no answer: {_one_line(cause)}")
            case OSError():
                return CommandFailed(_os_error(cause))
    return None


def find_cause(error: BaseException, kind: type[Cause]) -> Cause | None:
    """The error of a kind among an error, its groups and its causes."""
    return next((e for e in _causes(error, MAX_CAUSES) if isinstance(e, kind)), None)


def _causes(error: BaseException, limit: int) -> Iterator[BaseException]:
    """The error and what led to it, the outermost first."""
    if limit == 0:
        return
    yield error
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _causes(inner, limit - 1)
    if error.__cause__ is not None:
        yield from _causes(error.__cause__, limit - 1)


def _locked(error: StorageLocked) -> str:
    where = f" at {error.address}" if error.address else ""
    return (
        f"{error.path} is in use by another process (pid {error.pid or 'unknown'}{where});"
        " stop it, or choose another --data-dir"
    )


def _os_error(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.errno == errno.ENOSPC:
        reason = "the disk is full"
    return f"{error.filename}: {reason}" if error.filename else reason


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
