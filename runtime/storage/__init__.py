"""Storage: the database port, its adapters, and the tables every domain shares."""

from runtime.storage.errors import (
    ConstraintViolation,
    MigrationError,
    StorageError,
    StorageFull,
    StorageLocked,
    StorageUnavailable,
)
from runtime.storage.handle import DatabaseHandle
from runtime.storage.opening import open_database
from runtime.storage.port import Database, Entry, Query, Row, Statement, Write
from runtime.storage.schema import RUNTIME_MIGRATIONS, Migrations, migrate

__all__ = [
    "RUNTIME_MIGRATIONS",
    "ConstraintViolation",
    "Database",
    "DatabaseHandle",
    "Entry",
    "MigrationError",
    "Migrations",
    "Query",
    "Row",
    "Statement",
    "StorageError",
    "StorageFull",
    "StorageLocked",
    "StorageUnavailable",
    "Write",
    "migrate",
    "open_database",
]
