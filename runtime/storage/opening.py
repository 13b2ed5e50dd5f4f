"""Opening a database by its URL."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from runtime.storage.errors import StorageError
from runtime.storage.port import Database
from runtime.storage.sqlite import open_sqlite_file, open_sqlite_memory

MEMORY = "/:memory:"


async def open_database(url: str) -> Database:
    """Open `sqlite:///relative/path`, `sqlite:////absolute/path` or `sqlite:///:memory:`.

    Raises `StorageError` when the URL is not understood or the database cannot be used,
    `StorageLocked` when another process has it.
    """
    parts = urlsplit(url)
    if parts.scheme != "sqlite" or parts.netloc or len(parts.path) < len("/x"):
        raise StorageError("the database URL must be sqlite:///path")
    if parts.path == MEMORY:
        return open_sqlite_memory()
    return await open_sqlite_file(Path(unquote(parts.path[1:])))
