"""`loyalnest migrate`: bring the schema of the database up to date, or say what is missing."""

from datetime import UTC, datetime

import click

from cli.data_directory import prepare_data_dir
from cli.errors import EXIT_FAILED
from cli.options import STORAGE, settings_options
from cli.running import Run, run_command
from config import Settings
from runtime.storage import migrate as apply_migrations
from runtime.storage import open_database, pending
from supervisors.application import MIGRATIONS


@click.command("migrate", short_help="Bring the database's schema up to date.")
@click.option("--check", is_flag=True, help="change nothing; exit code 1 when something is missing")
@settings_options(*STORAGE, key_needed=False)
def migrate(settings: Settings, check: bool) -> None:
    """Apply the migrations that the database does not have yet.

    `serve` and `import` do so by themselves. With a role that may not change the schema, run this
    before them, with one that may.
    """

    async def body(run: Run) -> None:
        prepare_data_dir(run.settings)
        database = await open_database(run.settings.database_url)
        try:
            if check:
                names = await pending(database, MIGRATIONS)
            else:
                names = await apply_migrations(database, MIGRATIONS, datetime.now(UTC))
        finally:
            await database.close()
        _report(names, check=check)

    run_command(settings, body)


def _report(names: list[str], *, check: bool) -> None:
    word = "missing" if check else "applied"
    for name in names:
        print(f"{word}  {name}")
    if not names:
        print("up to date")
    if names and check:
        raise SystemExit(EXIT_FAILED)
