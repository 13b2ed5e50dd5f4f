"""The command that the one-file program starts itself with, to prepare rows beside the server."""

import click

from actors.core import prepare_worker as worker


@click.command(name="prepare-worker", hidden=True)
def prepare_worker() -> None:
    """Make rows of imports ready for the process that started this one."""
    worker.main()
