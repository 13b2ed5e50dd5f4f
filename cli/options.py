"""Options that commands share: one flag a setting, made from the table of settings."""

import functools
import os
from collections.abc import Callable
from typing import Any

import click

from config import check_production, load_settings
from config.loading import CONFIG_FLAG
from config.settings import specs

STORAGE = (
    "environment",
    "data_dir",
    "database_url",
    "database_url_file",
    "database_password_file",
    "database_connections_max",
    "log_level",
    "log_format",
)
"""What a command needs that works on the data."""


def settings_options(
    *names: str, checked: bool = True, key_needed: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command `--config` and a flag for each of `names` (all, when none are given).

    The command gets the settings in force as its argument `settings`. Where they are `checked`, it
    does not run with those that production refuses; `key_needed` says that it signs tokens, or
    verifies them.
    """
    offered = [spec for spec in specs() if not names or spec.name in names]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_settings(config_file: str | None, **options: Any) -> None:
            flags = {spec.name: options.pop(spec.name) for spec in offered}
            settings = load_settings(flags, os.environ, config_file)
            if checked:
                check_production(settings, demo=bool(options.get("demo")), key_needed=key_needed)
            command(settings=settings, **options)

        wrapped: Callable[..., None] = with_settings
        for spec in reversed(offered):
            help_ = f"{spec.help}  [{spec.env}; default: {spec.default or 'none'}]"
            wrapped = click.option(spec.flag, spec.name, metavar="VALUE", help=help_)(wrapped)
        file_help = "settings file  [LOYALNEST_CONFIG; default: loyalnest.toml, if there is one]"
        option = click.option(CONFIG_FLAG, "config_file", metavar="FILE", help=file_help)
        return option(wrapped)

    return decorate
