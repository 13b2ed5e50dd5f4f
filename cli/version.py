"""`loyalnest version`: which program this is."""

import platform
import sqlite3
import tomllib
from importlib import metadata
from pathlib import Path

import click

UNKNOWN = "unknown"
PROJECT_FILE = Path(__file__).parents[1] / "pyproject.toml"
LIBRARIES = ("trio", "hypercorn", "quart-trio", "attrs", "msgspec")


def program_version() -> str:
    """The version that was installed, or that of the checkout."""
    version = _version_of("loyalnest")
    return version if version != UNKNOWN else _version_in(PROJECT_FILE)


def _version_in(project_file: Path) -> str:
    try:
        return str(tomllib.loads(project_file.read_text())["project"]["version"])
    except (OSError, ValueError, KeyError):
        return UNKNOWN


def _version_of(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return UNKNOWN


@click.command("version", short_help="Show the version.")
def version() -> None:
    """Print the version, and those of what it stands on."""
    print(f"loyalnest {program_version()}")
    print(f"python {platform.python_version()}")
    print(f"sqlite {sqlite3.sqlite_version}")
    for library in LIBRARIES:
        print(f"{library} {_version_of(library)}")
