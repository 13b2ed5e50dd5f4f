"""`loyalnest config`: the settings in force, and where each came from."""

import json
from collections.abc import Iterator

import click

from cli.options import settings_options
from config import Settings, check_production
from config.policies import knobs
from config.policy_loading import setting_name
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
    rows = [*_rows(settings), *_policy_rows(settings)]
    if as_json:
        table = {name: {"value": value, "source": source} for name, value, source in rows}
        print(json.dumps(table, indent=2))
        return
    rows.insert(0, ("NAME", "VALUE", "SOURCE"))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for name, value, source in rows:
        print(f"{name:{widths[0]}}  {value:{widths[1]}}  {source}")


def _rows(settings: Settings) -> Iterator[tuple[str, str, str]]:
    for spec in specs():
        yield spec.name, settings.shown(spec.name), str(settings.sources[spec.name])


def _policy_rows(settings: Settings) -> Iterator[tuple[str, str, str]]:
    for dependency, chosen in settings.policies.items():
        for knob in knobs(dependency):
            name = setting_name(dependency, knob.name)
            yield name, f"{getattr(chosen, knob.name):g}", str(settings.sources[name])
