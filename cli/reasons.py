"""What a command tells a person whose wish it cannot fulfil: one line and an exit code."""

import errno

from actors.auth.errors import KeyFileError
from actors.core.errors import DataKeyError
from cli.errors import EXIT_USAGE, CommandFailed, causes
from config import SettingsError
from gateway.errors import ListenError
from runtime import ActorError, RootDown
from runtime.storage import StorageError, StorageLocked


def explain(error: BaseException) -> CommandFailed | None:
    """The reason in a user's terms, looked for in groups and causes; `None` for a bug."""
    for cause in causes(error):
        match cause:
            case CommandFailed():
                return cause
            case SettingsError():
                return CommandFailed(str(cause), EXIT_USAGE)
            case StorageLocked():
                return CommandFailed(_locked(cause))
            case StorageError() | ListenError() | KeyFileError() | DataKeyError():
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
