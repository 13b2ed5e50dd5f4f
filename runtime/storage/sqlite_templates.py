"""Schemas in memory, made once in a process, and databases that begin as copies of them."""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

import attrs

from runtime.storage.port import Dialect
from runtime.storage.schema import CREATE_TABLE, INSERT_APPLIED, Migrations, read_migrations
from runtime.storage.sqlite import connect_memory
from runtime.storage.sqlite_values import sqlite_sql

Template = sqlite3.Connection
"""Not for use but for copying: see `connect_memory`."""

APPLIED_AT = datetime(2026, 1, 1, tzinfo=UTC)


@cache
def template_of(components: Sequence[Migrations]) -> Template:
    """A database to which these have been applied, in their order, and nothing else has happened.

    `migrate` finds nothing missing in a copy, and checks it as it does any other database.
    """
    template = sqlite3.connect(":memory:", isolation_level=None)
    template.execute(CREATE_TABLE)
    for component in components:
        files = read_migrations(component, Dialect.SQLITE)
        for number, migration in sorted(files.items()):
            for sql, _ in migration.statements():
                template.execute(sql)
            record = (component.component, number, migration.name, migration.checksum, APPLIED_AT)
            template.execute(sqlite_sql(INSERT_APPLIED), record)
    return template


@attrs.frozen
class Schema:
    """What a copy begins with: the migrations that it has had, and tables that whoever uses it
    keeps in there for itself."""

    migrations: tuple[Migrations, ...] = ()
    tables: tuple[str, ...] = ()


_AT_HAND: dict[Schema, list[sqlite3.Connection]] = {}
"""Connections of copies that were given back. They have compiled the program's statements, which
takes a fourth of what a simulation does with its database."""


class Copy:
    """A database in memory of that schema, to which nothing has happened yet. For one user, who
    gives it back."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        at_hand = _AT_HAND.get(schema)
        self.connection = at_hand.pop() if at_hand else _new_connection(schema)
        self.connection.execute("SAVEPOINT pristine")
        self._version = self._schema_version()

    def _schema_version(self) -> int:
        version: int = self.connection.execute("PRAGMA schema_version").fetchone()[0]
        return version

    def give_back(self) -> None:
        """Undo what happened, so that the next one begins where this one did. Where a migration
        was applied, statements would be compiled again all the time: that one is of no more use.
        """
        kept = self._schema_version() == self._version
        self.connection.execute("ROLLBACK TO pristine")
        self.connection.execute("RELEASE pristine")
        if kept:
            _AT_HAND.setdefault(self._schema, []).append(self.connection)


def _new_connection(schema: Schema) -> sqlite3.Connection:
    connection = connect_memory(template_of(schema.migrations) if schema.migrations else None)
    for sql in schema.tables:
        connection.execute(sql)
    return connection
