"""Errors of the store, split by what their receiver can do about them."""


class StorageError(Exception):
    """The store did not do what it was asked to. The text is one line for the operator."""


class StorageUnavailable(StorageError):
    """There is no open database at the moment. Nothing was done."""


class StorageFull(StorageError):
    """The database cannot grow: no space is left, or a limit is reached. Nothing was written."""


class ConstraintViolation(StorageError):
    """A row broke a constraint of the schema. Nothing of the transaction was written."""


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
