"""The admin_features domain's children."""

from collections.abc import Callable
from pathlib import Path

from actors.admin_features.book import FlagBook
from actors.admin_features.desk import FlagDesk
from actors.admin_features.flag_file import FileOnDisk, FlagFile
from actors.admin_features.keeper import FlagKeeper
from actors.admin_features.messages import FLAGS, KEEPER
from runtime import REFUSING, ChildSpec
from runtime.cache import CacheHandle
from runtime.storage import Database, Migrations

MIGRATIONS = Migrations("admin_features", "actors.admin_features.migrations")

OpenFlagFile = Callable[[Path], FlagFile]


def admin_features_children(
    database: Database, cache: CacheHandle, book: FlagBook, file: FlagFile
) -> tuple[ChildSpec, ...]:
    """The specifications, in the order of their start. `book` belongs to the process, and is what
    everybody evaluates from."""
    return (
        keeper_child(database, cache, book, file),
        ChildSpec("flags", lambda: FlagDesk(database), name=FLAGS, mailbox=REFUSING),
    )


def keeper_child(
    database: Database, cache: CacheHandle, book: FlagBook, file: FlagFile
) -> ChildSpec:
    """The actor that keeps `book` fresh. Every process has one, wherever the domain is."""
    return ChildSpec(
        "keeper", lambda: FlagKeeper(database, cache, book, file), name=KEEPER, mailbox=REFUSING
    )


def flag_file(path: Path) -> FlagFile:
    """The file of the last known flags."""
    return FileOnDisk(path)
