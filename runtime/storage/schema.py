"""Migrations: numbered SQL files with checksums, applied once and in order."""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from importlib import resources

import attrs

from runtime.storage.deadlines import within
from runtime.storage.errors import MigrationError, StorageError
from runtime.storage.port import Database, Dialect, Query

FILE_NAME = re.compile(r"(\d{4})_(\w+?)(?:\.(sqlite|postgresql))?\.sql")

FORBIDDEN = "42501"
"""SQLSTATE of what the login has no privilege for."""

MIGRATION_LIMIT_S = 3_600.0
"""For all migrations together; each statement has a limit of its own."""

STATEMENT = re.compile(r"\s*(\S(?:\$\$.*?\$\$|.)*?);[ \t]*(?:\n|$)", re.DOTALL)

HAS_TABLE = {
    Dialect.SQLITE: "SELECT 1 FROM sqlite_master WHERE name = 'schema_migrations'",
    Dialect.POSTGRESQL: "SELECT 1 WHERE to_regclass('schema_migrations') IS NOT NULL",
}

CREATE_TABLE = (
    "CREATE TABLE schema_migrations (component TEXT NOT NULL,"
    " number BIGINT NOT NULL, name TEXT NOT NULL, checksum TEXT NOT NULL,"
    " applied_at TIMESTAMPTZ NOT NULL, PRIMARY KEY (component, number))"
)

SELECT_APPLIED = (
    "SELECT number, name, checksum FROM schema_migrations WHERE component = $1 ORDER BY number"
)

INSERT_APPLIED = (
    "INSERT INTO schema_migrations (component, number, name, checksum, applied_at)"
    " VALUES ($1, $2, $3, $4, $5)"
)


@attrs.frozen
class Migrations:
    """The migration files of one component, in a package of their own.

    A file is `0001_name.sql`, or `0001_name.sqlite.sql` and perhaps `0001_name.postgresql.sql`
    where the dialects differ. Its statements end with a `;` at the end of a line, outside of
    `$$` quotes.
    """

    component: str
    package: str


RUNTIME_MIGRATIONS = Migrations("runtime", "runtime.storage.migrations")


@attrs.frozen
class Migration:
    """One file. The checksum is the SHA-256 of its text."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def statements(self) -> list[Query]:
        return [(text, ()) for text in STATEMENT.findall(self.sql)]


async def migrate(database: Database, components: Sequence[Migrations], now: datetime) -> list[str]:
    """Apply what is missing, each file in a transaction of its own; the names of those applied.

    Others who migrate the same store at the same time wait. What needs nothing needs no rights
    to change the schema either.

    Raises `MigrationError` when an applied file has changed or is unknown to this program.
    """
    async with database.as_owner() as owner:
        with within(MIGRATION_LIMIT_S):
            missing = await _missing(owner, components)
        try:
            with within(MIGRATION_LIMIT_S):
                await _apply_all(owner, missing, now)
        except StorageError as error:
            if getattr(error.__cause__, "sqlstate", None) != FORBIDDEN:
                raise
            raise MigrationError(
                f"{len(missing)} migrations are missing, and this login may not make them"
                f" ({error}); run `loyalnest migrate` with one that may"
            ) from error
    return [_name(component, migration) for component, migration in missing]


async def pending(database: Database, components: Sequence[Migrations]) -> list[str]:
    """The names of the files that `migrate` would apply. Raises as it does."""
    async with database.as_owner() as owner:
        with within(MIGRATION_LIMIT_S):
            missing = await _missing(owner, components)
    return [_name(component, migration) for component, migration in missing]


async def _missing(
    database: Database, components: Sequence[Migrations]
) -> list[tuple[str, Migration]]:
    known = await _has_table(database)
    missing: list[tuple[str, Migration]] = []
    for component in components:
        files = read_migrations(component, database.dialect)
        rows = await database.fetch(SELECT_APPLIED, component.component) if known else []
        applied = {row["number"]: row["checksum"] for row in rows}
        _check(component.component, files, applied)
        missing += [
            (component.component, migration)
            for number, migration in sorted(files.items())
            if number not in applied
        ]
    return missing


def _check(component: str, files: dict[int, Migration], applied: dict[int, str]) -> None:
    unknown = sorted(applied.keys() - files.keys())
    if unknown:
        raise MigrationError(
            f"the database was made by a newer version: {component} migration"
            f" {unknown[0]} is unknown to this one"
        )
    for number, checksum in applied.items():
        if files[number].checksum != checksum:
            name = _name(component, files[number])
            raise MigrationError(f"migration {name} was changed after it had been applied")


async def _has_table(database: Database) -> bool:
    return await database.fetch_value(HAS_TABLE[database.dialect]) is not None


def _name(component: str, migration: Migration) -> str:
    return f"{component}/{migration.number:04}_{migration.name}"


async def _apply_all(
    owner: Database, missing: Sequence[tuple[str, Migration]], now: datetime
) -> None:
    if missing and not await _has_table(owner):
        await owner.execute(CREATE_TABLE)
    for component, migration in missing:
        await _apply(owner, component, migration, now)


async def _apply(database: Database, component: str, migration: Migration, now: datetime) -> None:
    record = (component, migration.number, migration.name, migration.checksum, now)
    await database.transact([*migration.statements(), (INSERT_APPLIED, record)])


def read_migrations(component: Migrations, dialect: Dialect) -> dict[int, Migration]:
    """The files for `dialect` by number; those of all dialects are numbered without gaps."""
    found: dict[int, Migration] = {}
    numbers: set[int] = set()
    for file in resources.files(component.package).iterdir():
        match = FILE_NAME.fullmatch(file.name)
        if match is None:
            continue
        number = int(match[1])
        numbers.add(number)
        if match[3] in (None, dialect.value):
            if number in found:
                raise MigrationError(f"{component.component} has two migrations {number}")
            found[number] = Migration(number, match[2], file.read_text("utf-8"))
    if sorted(numbers) != list(range(1, len(numbers) + 1)):
        raise MigrationError(f"{component.component} migrations are not numbered without gaps")
    return found
