"""The commands are there by name, and a light one does not pay for the heavy ones."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from cli.commands import COMMANDS, Commands

ROOT = Path(__file__).parents[3]
HEAVY = ("quart", "hypercorn", "asyncpg", "redis", "supervisors", "opentelemetry")
LOADED = "import sys, pkgutil; pkgutil.resolve_name(sys.argv[1]); print(*sys.modules)"


def loaded_with(command: str) -> set[str]:
    """The top-level packages that are imported for a command."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, COMMANDS[command]],
        cwd=ROOT,
        env={"PYTHONPATH": "http"},
        check=True,
        capture_output=True,
        text=True,
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_where_the_table_says(name: str) -> None:
    command = Commands("loyalnest").get_command(click.Context(Commands("loyalnest")), name)
    assert command is not None
    assert command.name == name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "spared"),
    [
        ("version", {*HEAVY, "trio", "runtime"}),
        ("config", {*HEAVY, "trio", "runtime"}),
        ("plan", {*HEAVY, "trio", "runtime"}),
        ("token", set(HEAVY)),
        ("migrate", {"quart", "hypercorn", "asyncpg", "redis"}),
        ("serve", {"asyncpg", "redis"}),
    ],
)
def test_a_command_imports_only_what_it_needs(command: str, spared: set[str]) -> None:
    assert loaded_with(command) & spared == set()
