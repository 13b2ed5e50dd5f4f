"""Errors of PostgreSQL and its driver as ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import asyncpg

from runtime.storage.errors import (
    CommitUnknown,
    ConnectionLost,
    ConstraintViolation,
    StorageError,
    StorageFull,
    StorageUnavailable,
    Superseded,
    TransactionUndone,
)
from runtime.storage.postgres_batch import SUPERSEDED

DATA, INTEGRITY, LIMIT, CONNECTION = "22", "23", "54", "08"
"""Classes of SQLSTATE: the fault of a row (three of them: the last is one that is too large for
an index, say, or nested too deep), of the connection."""

UNDONE = frozenset({"40001", "40P01"})
"""Not serializable, or a deadlock: the same transaction may succeed at once."""

SHUTTING_DOWN = frozenset({"57P01", "57P02", "57P03", "57P04", "57P05", "25P03"})
"""The server ends the session, or does not begin one."""

FULL = frozenset({"53100"})
NOT_NOW = frozenset({"53000", "53200", "53300", "57014", "55P03", "25006"})
"""Out of memory or connections, cancelled or too slow, locked, or a standby. Nothing was done."""


AWAY = "the database cannot be reached"


class Attempt(Protocol):
    """Whose failure is looked at: whether a commit was under way, and the connection lives."""

    @property
    def committing(self) -> bool: ...
    @property
    def closed(self) -> bool: ...


@contextmanager
def translated(attempt: Attempt | None = None) -> Iterator[None]:
    """Raise our errors for those of the driver; the original is kept as the cause."""
    try:
        yield
    except StorageError:
        raise
    except asyncpg.PostgresError as error:
        raise _of_server(error, attempt) from error
    except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError) as error:
        raise _lost(attempt, error) from error
    except (OverflowError, ValueError) as error:
        raise ConstraintViolation(f"a value the database cannot keep: {error}") from error


@contextmanager
def translated_connecting(timeout_s: float) -> Iterator[None]:
    """As `translated`, while connecting within `timeout_s`: what is wrong with the address or the
    login is a plain `StorageError`, what may pass is `StorageUnavailable`."""
    try:
        with translated():
            yield
    except StorageUnavailable as error:
        if not _is_timeout(error.__cause__):
            raise
        raise StorageUnavailable(f"{AWAY}: no answer in {timeout_s:g} s") from error
    except StorageError as error:
        raise StorageError(f"cannot use the database: {_said(error.__cause__ or error)}") from error


def is_login_refused(error: BaseException) -> bool:
    """Whether the server is there, and does not let us in with what we know."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, asyncpg.PostgresError):
        cause = cause.__cause__
    return isinstance(cause, asyncpg.InvalidAuthorizationSpecificationError)


def _of_server(error: asyncpg.PostgresError, attempt: Attempt | None) -> StorageError:
    state = error.sqlstate or ""
    kind = state[:2]
    if state == SUPERSEDED:
        return Superseded(_said(error))
    if kind in {INTEGRITY, DATA, LIMIT}:
        return ConstraintViolation(_said(error))
    if kind == CONNECTION or state in SHUTTING_DOWN:
        return _lost(attempt, error)
    if state in FULL:
        return StorageFull("no space is left for the database")
    if state in UNDONE:
        return TransactionUndone(f"database: {_said(error)}")
    if state in NOT_NOW:
        return StorageUnavailable(f"database: {_said(error)}")
    return StorageError(f"database: {_said(error)}")


def _lost(attempt: Attempt | None, error: Exception) -> StorageError:
    reason = _said(error)
    if attempt is not None and attempt.committing:
        return CommitUnknown(f"the connection was lost during a commit: {reason}")
    return ConnectionLost(f"{AWAY}: {reason}")


def _said(error: BaseException) -> str:
    """The message, without the detail and the hint that a server adds in further lines."""
    text = str(error).partition("\n")[0]
    return text or ("no answer in time" if _is_timeout(error) else type(error).__name__)


def _is_timeout(error: BaseException | None) -> bool:
    return isinstance(error, TimeoutError) and not error.args
