"""Schemas in memory, made once in a process, for databases that begin as copies of them."""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

from runtime.storage.port import Dialect
from runtime.storage.schema import CREATE_TABLE, INSERT_APPLIED, Migrations, read_migrations
from runtime.storage.sqlite_values import sqlite_sql

Template = sqlite3.Connection
"""Not for use but for copying: see `open_sqlite_memory`."""

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
