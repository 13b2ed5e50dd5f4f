"""Schemas of simulated stores: made once for all runs in a process, and copied from there."""

import sqlite3
from collections.abc import Sequence
from functools import cache

from runtime.sim.clock import START
from runtime.storage import Dialect
from runtime.storage.schema import CREATE_TABLE, INSERT_APPLIED, Migrations, read_migrations
from runtime.storage.sqlite_values import sqlite_sql


@cache
def schema_of(components: Sequence[Migrations]) -> sqlite3.Connection:
    """A store to which these have been applied, in their order, and nothing else has happened.

    Not for use but for copying. `migrate` finds nothing missing in a copy, and checks it as it
    does any other store.
    """
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(CREATE_TABLE)
    for component in components:
        files = read_migrations(component, Dialect.SQLITE)
        for number, migration in sorted(files.items()):
            for sql, _ in migration.statements():
                connection.execute(sql)
            record = (component.component, number, migration.name, migration.checksum, START)
            connection.execute(sqlite_sql(INSERT_APPLIED), record)
    return connection
