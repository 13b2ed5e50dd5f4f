"""Opening a database by its URL."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from runtime.rotation import RotatingSecret
from runtime.storage.errors import StorageError
from runtime.storage.port import APPLICATION_ROLE, Database
from runtime.storage.sqlite import open_sqlite_file, open_sqlite_memory

MEMORY = "/:memory:"
POSTGRESQL = frozenset({"postgresql", "postgres"})
CONNECTIONS = 12


async def open_database(
    url: str | RotatingSecret,
    *,
    connections: int = CONNECTIONS,
    role: str | None = APPLICATION_ROLE,
) -> Database:
    """Open `sqlite:///relative/path`, `sqlite:////absolute/path`, `sqlite:///:memory:` or
    `postgresql://user:password@host:port/database`.

    `connections` and `role` (None: that of the user who logs in) are for PostgreSQL, where
    connections open when they are needed: a server that is away is not noticed here. A URL that
    is replaced is used for connections opened from then on; those that exist go on.

    Raises `StorageError` when the URL is not understood or the database cannot be used,
    `StorageLocked` when another process has it.
    """
    secret = RotatingSecret.of(url)
    parts = urlsplit(secret.newest)
    if parts.scheme in POSTGRESQL:
        from runtime.storage.postgres import PostgresDatabase  # noqa: PLC0415 - as for Redis

        return PostgresDatabase(secret, connections, role)
    if parts.scheme != "sqlite" or parts.netloc or len(parts.path) < len("/x"):
        raise StorageError("the database URL must be sqlite:///path or postgresql://...")
    if parts.path == MEMORY:
        return open_sqlite_memory()
    return await open_sqlite_file(Path(unquote(parts.path[1:])))
