"""The commands of the program, each imported when it is asked for."""

import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

import click

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "account": "cli.accounts:account",
        "config": "cli.show_config:show_config",
        "ctl": "cli.ctl.command:ctl",
        "demo": "cli.story.command:demo",
        "import": "cli.importing.command:import_",
        "keys": "cli.keys:keys",
        "migrate": "cli.migrate:migrate",
        "serve": "cli.serve:serve",
        "pattern-worker": "cli.pattern_worker:pattern_worker",
        "plan": "cli.plan:plan",
        "prepare-worker": "cli.prepare_worker:prepare_worker",
        "shard": "cli.shard:shard",
        "sim": "cli.sim:sim",
        "token": "cli.tokens:token",
        "verify": "cli.verify:verify",
        "version": "cli.version:version",
    }
)
"""Where each command is. Imports are most of the time of a start, and few commands need all."""


class Commands(click.Group):
    """A group whose commands are those of `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = COMMANDS.get(cmd_name)
        command: click.Command | None = pkgutil.resolve_name(place) if place is not None else None
        return command
