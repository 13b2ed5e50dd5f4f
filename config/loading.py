"""How settings are put together: flag over environment over file over default."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from config.dotenv import DOTENV_FILE, read_dotenv
from config.errors import SettingsError, unknown
from config.parsers import masked_url
from config.policy_loading import POLICIES_ENV, POLICIES_TABLE, load_policies
from config.secret_files import TextSecret, UrlSecret
from config.settings import (
    DEVELOPMENT,
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
    working directory if there is one; in development also `.env` there; and the secret files that
    are named. Raises `SettingsError`.
    """
    table, file_source = _file(config_file, environ)
    layers = [_from_flags(flags), _from_environ(environ), _from_file(table, file_source)]
    if _environment(layers) == DEVELOPMENT:
        dotenv = read_dotenv(Path(DOTENV_FILE))
        layers.insert(2, _from_dotenv(dotenv))
        environ = {**dotenv, **environ}
    values: dict[str, object] = {}
    sources: dict[str, Source] = {}
    for spec in specs():
        quoted = {name: quote(str(value)) for name, value in values.items()}
        default = (spec.default.format_map(quoted), Source(SourceKind.DEFAULT))
        text, source = next((layer[spec.name] for layer in layers if spec.name in layer), default)
        values[spec.name] = _parse(spec, text, source)
        sources[spec.name] = source
    secrets: dict[str, UrlSecret | TextSecret] = {
        name: _url_secret(name, values, sources) for name in ("database", "redis", "smtp")
    }
    secrets["sms_token"] = TextSecret("sms_token", values["sms_token_file"])  # type: ignore[arg-type]
    policies, policy_sources = load_policies(environ, table, file_source)
    values |= {"policies": policies, "sources": sources | policy_sources, "secrets": secrets}
    return Settings(**values)  # type: ignore[arg-type]


def _environment(layers: list[dict[str, Found]]) -> object:
    (spec,) = (spec for spec in specs() if spec.name == "environment")
    default = (spec.default, Source(SourceKind.DEFAULT))
    text, source = next((layer[spec.name] for layer in layers if spec.name in layer), default)
    return _parse(spec, text, source)


def _url_secret(name: str, values: dict[str, Any], sources: dict[str, Source]) -> UrlSecret:
    """Where a URL comes from; what its files say is put in the place of the setting."""
    setting = f"{name}_url"
    file = values[f"{setting}_file"]
    if file is not None and sources[setting].kind is not SourceKind.DEFAULT:
        raise SettingsError(
            f"{setting} (from {sources[setting]}) and {setting}_file"
            f" (from {sources[f'{setting}_file']}) exclude each other"
        )
    (spec,) = (spec for spec in specs() if spec.name == setting)
    secret = UrlSecret(name, spec.parse, values[setting], file, values[f"{name}_password_file"])
    if secret.files:
        values[setting] = secret.read()
    if file is not None:
        sources[setting] = Source(SourceKind.SECRET, str(file))
    return secret


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
    return _from_variables(environ, SourceKind.ENV, "the environment")


def _from_dotenv(dotenv: Mapping[str, str]) -> dict[str, Found]:
    """The variables in `.env` of the working directory, which must not say where we are."""
    found = _from_variables(dotenv, SourceKind.DOTENV, DOTENV_FILE)
    if "environment" in found:
        raise SettingsError(f"environment (from {DOTENV_FILE}): set it in another place")
    return found


def _from_variables(variables: Mapping[str, str], kind: SourceKind, where: str) -> dict[str, Found]:
    names = {spec.env: spec.name for spec in specs()}
    found: dict[str, Found] = {}
    for variable in sorted(variables):
        ours = variable.startswith(ENV_PREFIX) and not variable.startswith(POLICIES_ENV)
        if not ours or variable == CONFIG_ENV:
            continue
        if variable not in names:
            known = [*names.values(), "config"]
            wanted = variable.removeprefix(ENV_PREFIX).lower()
            raise SettingsError(
                f"{variable} (from {where}) {unknown('a setting', wanted, known, _env)}"
            )
        found[names[variable]] = (variables[variable], Source(kind, variable))
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
