"""Errors of the store, split by what their receiver can do about them.

`outcome` tells "did not happen" from "may have happened", where that is known.
"""

from runtime.errors import Outcome
from runtime.trouble import Passing, Told


class StorageError(Exception):
    """The store did not do what it was asked to. The text is one line for the operator."""


class StorageUnavailable(StorageError, Passing):
    """The database cannot be reached at the moment, or took too long. Nothing was done."""

    outcome = Outcome.NOT_DELIVERED


class DatabaseAway(StorageUnavailable, Told):
    """No connection can be opened. The log has it already."""


class StorageRejected(StorageUnavailable, Told):
    """A policy on this side rejected the call. `retry_after_s` is when to come back, if known.

    A breaker has told of its opening in the log, and a full share is counted.
    """

    def __init__(self, detail: str, retry_after_s: float | None) -> None:
        super().__init__(f"the database was not asked: {detail}")
        self.retry_after_s = retry_after_s
        self.made_of = (detail, retry_after_s)


TAKEN_OVER = "another process has taken over this database"


class TakenOver(StorageUnavailable):
    """Another process has taken over the database, and this one never writes to it again."""


class ConnectionLost(StorageUnavailable):
    """The connection ended while it was in use, before any commit. Nothing was done."""


class TransactionUndone(StorageUnavailable):
    """The database undid a transaction, for a deadlock say, and it may succeed at once."""


class CommitUnknown(StorageError, Passing):
    """The connection was lost during a commit: it may or may not have happened."""

    outcome = Outcome.UNKNOWN


class StorageFull(StorageError):
    """The database cannot grow: no space is left, or a limit is reached. Nothing was written."""

    outcome = Outcome.NOT_DELIVERED


class ConstraintViolation(StorageError):
    """A row broke a constraint of the schema. Nothing of the transaction was written."""

    outcome = Outcome.NOT_DELIVERED


class Superseded(ConstraintViolation):
    """An exact statement did not find its row: somebody else was there before.

    `statement` is its name. Nothing of the transaction was written.
    """

    def __init__(self, statement: str) -> None:
        super().__init__(f"{statement}: the row is not as expected")
        self.statement = statement
        self.made_of = (statement,)


class MigrationError(StorageError):
    """The schema cannot be brought to what this program expects."""


class StorageLocked(StorageError):
    """Another process has the database. `address` is where it serves HTTP, if it said so."""

    def __init__(self, path: str, pid: int | None, address: str | None) -> None:
        who = f"process {pid}" if pid is not None else "another process"
        where = f", which serves {address}" if address is not None else ""
        super().__init__(f"{path} is in use by {who}{where}")
        self.path = path
        self.pid = pid
        self.address = address
