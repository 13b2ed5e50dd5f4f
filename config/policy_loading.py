"""The policies' knobs out of the environment and the `[policies.NAME]` tables of the file."""

from collections.abc import Mapping

from config.errors import SettingsError, unknown
from config.policies import DEPENDENCIES, Knob, PolicySettings, knobs
from config.settings import ENV_PREFIX, Source, SourceKind

POLICIES_TABLE = "policies"
POLICIES_ENV = f"{ENV_PREFIX}POLICIES__"
SEPARATOR = "__"
MAX_SHOWN = 80

Place = tuple[str, str]
"""A dependency and the name of a knob of it."""

Found = Mapping[Place, tuple[str, Source]]


def load_policies(
    environ: Mapping[str, str], table: Mapping[str, object], file_source: Source
) -> tuple[dict[str, PolicySettings], dict[str, Source]]:
    """The knobs of every dependency, and where each came from. Raises `SettingsError`.

    `LOYALNEST_POLICIES__POINTS__DEADLINE_S` wins over `deadline_s` in `[policies.points]`.
    """
    found = {**_from_file(table, file_source), **_from_environ(environ)}
    policies: dict[str, PolicySettings] = {}
    sources: dict[str, Source] = {}
    for dependency in DEPENDENCIES:
        values = {}
        for knob in knobs(dependency):
            default = (knob.default, Source(SourceKind.DEFAULT))
            text, source = found.get((dependency, knob.name), default)
            values[knob.name] = _parse(dependency, knob, text, source)
            sources[setting_name(dependency, knob.name)] = source
        policies[dependency] = PolicySettings(**values)  # type: ignore[arg-type]
    return policies, sources


def setting_name(dependency: str, knob: str) -> str:
    """As `loyalnest config` shows it."""
    return f"{POLICIES_TABLE}.{dependency}.{knob}"


def default_policies() -> dict[str, PolicySettings]:
    """What is in force where nobody chose anything."""
    return load_policies({}, {}, Source(SourceKind.DEFAULT))[0]


def _from_environ(environ: Mapping[str, str]) -> Found:
    found = {}
    for variable in sorted(environ):
        if variable.startswith(POLICIES_ENV):
            dependency, _, knob = variable.removeprefix(POLICIES_ENV).lower().partition(SEPARATOR)
            _check(f"{variable} (from the environment)", dependency, knob)
            source = Source(SourceKind.ENV, variable)
            found[dependency, knob] = (environ[variable], source)
    return found


def _from_file(table: Mapping[str, object], source: Source) -> Found:
    found = {}
    for dependency, chosen in _table(table, POLICIES_TABLE, POLICIES_TABLE, source).items():
        where = f"{POLICIES_TABLE}.{dependency}"
        for knob, value in _table({where: chosen}, where, where, source).items():
            setting = f"{where}.{knob} (from {source})"
            _check(setting, dependency, knob)
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise SettingsError(f"{setting}: must be a text or a number")
            found[dependency, knob] = (str(value), source)
    return found


def _table(
    table: Mapping[str, object], key: str, shown: str, source: Source
) -> Mapping[str, object]:
    inner = table.get(key, {})
    if not isinstance(inner, Mapping):
        raise SettingsError(f"{shown} (from {source}): must be a table")
    return inner


def _check(setting: str, dependency: str, knob: str) -> None:
    if dependency not in DEPENDENCIES:
        raise SettingsError(
            f"{setting}: {dependency} {unknown('a dependency', dependency, DEPENDENCIES)}"
        )
    names = [each.name for each in knobs(dependency)]
    if knob not in names:
        raise SettingsError(f"{setting}: {knob} {unknown(f'a knob of {dependency}', knob, names)}")


def _parse(dependency: str, knob: Knob, text: str, source: Source) -> object:
    try:
        return knob.parse(text)
    except ValueError as error:
        name = setting_name(dependency, knob.name)
        raise SettingsError(
            f"{name} (from {source}): {text[:MAX_SHOWN]!r} is wrong; allowed: {error}"
        ) from error
