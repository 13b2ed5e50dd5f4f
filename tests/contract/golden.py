"""The full schema of each dialect as text: what the migrations make of an empty store.

`python -m tests.contract.golden` writes it anew after a migration was added.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

from runtime import host
from runtime.storage import Database, Dialect, migrate, open_database
from supervisors.application import MIGRATIONS
from tests.servers import PostgresServer, running
from tests.stores import unhurried

FOLDER = Path(__file__).with_name("golden")
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)

SQLITE_SCHEMA = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type DESC, name"
NOISE = re.compile(r"^(--.*|\\.*|SET .*|SELECT pg_catalog\.set_config.*|)\n", re.MULTILINE)
FURTHER_PARTITION = re.compile(r"\w_p[1-9]\b|\w_p[1-9]_")


def golden_file(dialect: Dialect) -> Path:
    return FOLDER / f"{dialect.value}.sql"


async def sqlite_schema() -> str:
    """The statements that SQLite keeps of its tables, triggers and indexes."""
    database = await _migrated("sqlite:///:memory:")
    with unhurried():
        rows = await database.fetch(SQLITE_SCHEMA)
    await database.close()
    return "\n\n".join(f"{row[0]};" for row in rows) + "\n"


async def postgresql_schema(server: PostgresServer) -> str:
    """What `pg_dump` says, without comments, session settings, and all partitions but the first."""
    url = server.new_database()
    await (await _migrated(url)).close()
    dump = server.tool("pg_dump", "--schema-only", "--no-owner", "--dbname", url)
    statements = NOISE.sub("", dump).split(";\n")
    return ";\n".join(text for text in statements if not FURTHER_PARTITION.search(text))


async def _migrated(url: str) -> Database:
    database = await open_database(url)
    await migrate(database, MIGRATIONS, MOMENT)
    return database


def write() -> None:
    FOLDER.mkdir(exist_ok=True)
    golden_file(Dialect.SQLITE).write_text(host.run(sqlite_schema))
    with running(PostgresServer) as server:
        golden_file(Dialect.POSTGRESQL).write_text(host.run(postgresql_schema, server))


if __name__ == "__main__":
    write()
