"""`loyalnest config`: the settings in force, and where each came from."""

import json

import click

from cli.options import settings_options
from config import Settings, check_production
from config.settings import specs


@click.command("config", short_help="Show every setting and where it came from.")
@click.option("--json", "as_json", is_flag=True, help="print JSON instead of a table")
@settings_options(checked=False)
def show_config(settings: Settings, as_json: bool) -> None:
    """Print every setting: its name, the value in force, and where it came from.

    Says at the end what production would refuse to start with.
    """
    _print_table(settings, as_json)
    check_production(settings)


def _print_table(settings: Settings, as_json: bool) -> None:
    rows = [(s.name, settings.shown(s.name), str(settings.sources[s.name])) for s in specs()]
    if as_json:
        table = {name: {"value": value, "source": source} for name, value, source in rows}
        print(json.dumps(table, indent=2))
        return
    rows.insert(0, ("NAME", "VALUE", "SOURCE"))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for name, value, source in rows:
        print(f"{name:{widths[0]}}  {value:{widths[1]}}  {source}")
