"""Storage: the database port, its adapters, and the tables every domain shares."""

from runtime.storage.errors import (
    TAKEN_OVER,
    CommitUnknown,
    ConstraintViolation,
    MigrationError,
    StorageError,
    StorageFull,
    StorageLocked,
    StorageUnavailable,
    Superseded,
    TakenOver,
)
from runtime.storage.handle import DatabaseHandle
from runtime.storage.opening import open_database
from runtime.storage.port import (
    AcrossMerchants,
    AnyEntry,
    Database,
    Dialect,
    Entry,
    Packed,
    Query,
    Row,
    Statement,
    Write,
    unpacked,
)
from runtime.storage.schema import RUNTIME_MIGRATIONS, Migrations, migrate, pending

__all__ = [
    "RUNTIME_MIGRATIONS",
    "TAKEN_OVER",
    "AcrossMerchants",
    "AnyEntry",
    "CommitUnknown",
    "ConstraintViolation",
    "Database",
    "DatabaseHandle",
    "Dialect",
    "Entry",
    "MigrationError",
    "Migrations",
    "Packed",
    "Query",
    "Row",
    "Statement",
    "StorageError",
    "StorageFull",
    "StorageLocked",
    "StorageUnavailable",
    "Superseded",
    "TakenOver",
    "Write",
    "migrate",
    "open_database",
    "pending",
    "unpacked",
]
