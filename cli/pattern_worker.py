"""The command that the one-file program starts itself with, to match patterns beside the server."""

import click

from actors.gamification import pattern_worker as worker


@click.command(name="pattern-worker", hidden=True)
def pattern_worker() -> None:
    """Match patterns for the process that started this one."""
    worker.main()
