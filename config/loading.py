"""How settings are put together: flag over environment over file over default."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from config.errors import SettingsError, unknown
from config.parsers import masked_url
from config.policy_loading import POLICIES_ENV, POLICIES_TABLE, load_policies
from config.settings import (
    ENV_PREFIX,
    WITH_PASSWORDS,
    Settings,
    SettingSpec,
    Source,
    SourceKind,
    specs,
)

DEFAULT_FILE = "loyalnest.toml"
CONFIG_ENV = ENV_PREFIX + "CONFIG"
CONFIG_FLAG = "--config"
MAX_SHOWN = 80

Found = tuple[str, Source]
"""The text of a setting, and where it was found."""


def load_settings(
    flags: Mapping[str, str | None],
    environ: Mapping[str, str],
    config_file: str | None = None,
) -> Settings:
    """The settings in force. `flags` maps names to what the command line said, if anything.

    Reads `config_file`, else the file in `LOYALNEST_CONFIG`, else `loyalnest.toml` in the
    working directory if there is one. Raises `SettingsError`.
    """
    table, file_source = _file(config_file, environ)
    layers = (_from_flags(flags), _from_environ(environ), _from_file(table, file_source))
    values: dict[str, object] = {}
    sources: dict[str, Source] = {}
    for spec in specs():
        quoted = {name: quote(str(value)) for name, value in values.items()}
        default = (spec.default.format_map(quoted), Source(SourceKind.DEFAULT))
        text, source = next((layer[spec.name] for layer in layers if spec.name in layer), default)
        values[spec.name] = _parse(spec, text, source)
        sources[spec.name] = source
    policies, policy_sources = load_policies(environ, table, file_source)
    return Settings(**values, policies=policies, sources=sources | policy_sources)  # type: ignore[arg-type]


def _parse(spec: SettingSpec, text: str, source: Source) -> object:
    try:
        return spec.parse(text)
    except ValueError as error:
        shown = masked_url(text) if spec.name in WITH_PASSWORDS else text
        raise SettingsError(
            f"{spec.name} (from {source}): {shown[:MAX_SHOWN]!r} is wrong; allowed: {error}"
        ) from error


def _from_flags(flags: Mapping[str, str | None]) -> dict[str, Found]:
    by_name = {spec.name: spec for spec in specs()}
    return {
        name: (text, Source(SourceKind.FLAG, by_name[name].flag))
        for name, text in flags.items()
        if text is not None
    }


def _from_environ(environ: Mapping[str, str]) -> dict[str, Found]:
    names = {spec.env: spec.name for spec in specs()}
    found: dict[str, Found] = {}
    for variable in sorted(environ):
        ours = variable.startswith(ENV_PREFIX) and not variable.startswith(POLICIES_ENV)
        if not ours or variable == CONFIG_ENV:
            continue
        if variable not in names:
            known = [*names.values(), "config"]
            wanted = variable.removeprefix(ENV_PREFIX).lower()
            hint = unknown("a setting", wanted, known, _env)
            raise SettingsError(f"{variable} (from the environment) {hint}")
        found[names[variable]] = (environ[variable], Source(SourceKind.ENV, variable))
    return found


def _file(config_file: str | None, environ: Mapping[str, str]) -> tuple[dict[str, object], Source]:
    """What the settings file says, if there is one."""
    chosen = config_file or environ.get(CONFIG_ENV)
    path = Path(chosen or DEFAULT_FILE)
    source = Source(SourceKind.FILE, str(path))
    if not chosen and not path.exists():
        return {}, source
    by = CONFIG_FLAG if config_file else f"env {CONFIG_ENV}" if chosen else "found in place"
    return _read(path, by), source


def _from_file(table: Mapping[str, object], source: Source) -> dict[str, Found]:
    names = [spec.name for spec in specs()]
    found: dict[str, Found] = {}
    for key, value in table.items():
        if key == POLICIES_TABLE:
            continue
        if key not in names:
            known = [*names, POLICIES_TABLE]
            raise SettingsError(f"{key} (from {source}) {unknown('a setting', key, known)}")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise SettingsError(f"{key} (from {source}): must be a text or a number")
        found[key] = (str(value), source)
    return found


def _read(path: Path, by: str) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
    except UnicodeDecodeError:
        reason = "not UTF-8 text"
    except tomllib.TOMLDecodeError as error:
        reason = f"not TOML: {error}"
    raise SettingsError(f"configuration file {path} ({by}): {reason}")


def _env(name: str) -> str:
    return ENV_PREFIX + name.upper()
