"""`loyalnest plan`: the plans that come with the program, to begin with."""

from pathlib import Path

import click

from config import plans

FOLDER = Path(plans.__file__).parent
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


@click.command("plan", short_help="Print a plan that comes with the program.")
@click.argument("name", type=click.Choice(NAMES), metavar="NAME")
def plan(name: str) -> None:
    """Print the plan NAME, as a file for `serve --plan` that can be changed."""
    print((FOLDER / f"{name}.toml").read_text("utf-8"), end="")
