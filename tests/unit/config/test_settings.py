"""Settings: what wins over what, and how wrong ones are refused."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from config import Settings, SettingsError, load_settings
from config.settings import specs


@pytest.fixture(autouse=True)
def _empty_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(
    flags: Mapping[str, str | None] | None = None,
    environ: Mapping[str, str] | None = None,
    file: str | None = None,
) -> Settings:
    return load_settings(flags or {}, environ or {}, file)


def refused(
    flags: Mapping[str, str | None] | None = None,
    environ: Mapping[str, str] | None = None,
    file: str | None = None,
) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags or {}, environ or {}, file)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_without_anything_the_defaults_are_in_force(tmp_path: Path) -> None:
    settings = load()
    assert settings.http_bind == "127.0.0.1:8080"
    assert settings.data_dir == tmp_path / "data"
    assert settings.database_url == f"sqlite:///{tmp_path}/data/loyalnest.db"
    assert settings.redis_url is None
    assert {str(source) for source in settings.sources.values()} == {"default"}


def test_the_file_wins_over_the_default() -> None:
    Path("loyalnest.toml").write_text("http_drain_s = 2.5\nhttp_connections_max = 12\n")
    settings = load()
    assert (settings.http_drain_s, settings.http_connections_max) == (2.5, 12)
    assert str(settings.sources["http_drain_s"]) == "file:loyalnest.toml"


def test_the_environment_wins_over_the_file() -> None:
    Path("loyalnest.toml").write_text('log_level = "debug"\n')
    settings = load(environ={"LOYALNEST_LOG_LEVEL": "error"})
    assert settings.log_level == "error"
    assert str(settings.sources["log_level"]) == "env LOYALNEST_LOG_LEVEL"


def test_the_flag_wins_over_the_environment() -> None:
    settings = load({"log_level": "warning"}, {"LOYALNEST_LOG_LEVEL": "error"})
    assert settings.log_level == "warning"
    assert str(settings.sources["log_level"]) == "--log-level"


def test_a_flag_that_was_not_given_hides_nothing() -> None:
    assert load({"log_level": None}, {"LOYALNEST_LOG_LEVEL": "error"}).log_level == "error"


def test_a_named_file_is_read_instead_of_the_one_in_place() -> None:
    Path("loyalnest.toml").write_text("http_drain_s = 1\n")
    Path("flag.toml").write_text("http_drain_s = 2\n")
    Path("env.toml").write_text("http_drain_s = 3\n")
    environ = {"LOYALNEST_CONFIG": "env.toml"}
    assert load(environ=environ).http_drain_s == 3
    assert load(environ=environ, file="flag.toml").http_drain_s == 2


def test_the_database_follows_the_data_directory(tmp_path: Path) -> None:
    settings = load({"data_dir": "else where"})
    assert settings.database_url == f"sqlite:///{tmp_path}/else%20where/loyalnest.db"


def test_a_relative_database_file_is_made_absolute(tmp_path: Path) -> None:
    settings = load({"database_url": "sqlite:///my.db"})
    assert settings.database_url == f"sqlite:///{tmp_path}/my.db"


def test_a_database_in_memory_is_left_alone() -> None:
    assert load({"database_url": "sqlite:///:memory:"}).database_url == "sqlite:///:memory:"


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("http_bind", "8080", "host:port"),
        ("http_bind", "127.0.0.1:65536", "0 to 65535"),
        ("http_bind", "::1:80", "[ipv6]:port"),
        ("http_bind", "", "host:port"),
        ("log_level", "loud", "debug, info, warning, error"),
        ("http_connections_max", "0", "from 1 to"),
        ("http_connections_max", "1e3", "a whole number"),
        ("http_drain_s", "nan", "a number of seconds"),
        ("http_drain_s", "-1", "from 0 to 300"),
        ("request_timeout_s", "inf", "from 0.1 to 300"),
        ("database_url", "mysql://x", "sqlite:///FILE"),
        ("database_url", "sqlite:///", "sqlite:///FILE"),
        ("redis_url", "http://x", "redis://"),
        ("redis_url", "redis://host:99999", "redis://"),
        ("redis_url", "redis://host/0?db=1", "redis://"),
        ("redis_url", "unix://", "unix://"),
        ("redis_url", "unix://host/socket", "unix://"),
    ],
)
def test_a_wrong_value_is_named_with_its_source_and_what_is_allowed(
    name: str, text: str, allowed: str
) -> None:
    variable = f"LOYALNEST_{name.upper()}"
    message = refused(environ={variable: text})
    assert message.startswith(f"{name} (from env {variable})")
    assert allowed in message


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@db:5432/loyalnest",
        "postgres://db/loyalnest?sslmode=require",
        "postgresql://me@/loyalnest?host=/run/postgresql",
    ],
)
def test_a_postgresql_url_is_taken_as_it_is_and_shown_without_its_password(url: str) -> None:
    settings = load_settings({"database_url": url}, {})
    assert settings.database_url == url
    assert "secret" not in settings.shown("database_url")
    assert "secret" not in repr(settings)


@pytest.mark.parametrize("url", ["postgresql://", "postgresql://me:secret@db", "postgres:///x"])
def test_a_postgresql_url_needs_a_host_and_a_database(url: str) -> None:
    message = refused({"database_url": url})
    assert "postgresql://user:password@host:port/database" in message
    assert "secret" not in message


def test_a_data_directory_that_is_a_file_is_refused() -> None:
    Path("taken").write_text("")
    assert "a directory" in refused({"data_dir": "taken"})


@pytest.mark.parametrize("name", ["data_dir", "database_url"])
def test_a_path_that_is_no_text_is_refused(name: str) -> None:
    text = refused(flags={name: "sqlite:////srv/\udcff"})
    assert text.startswith(f"{name} (from --{name.replace('_', '-')})")
    assert "codec" not in text


def test_an_unknown_variable_is_refused_with_the_nearest_name() -> None:
    message = refused(environ={"LOYALNEST_DATABSE_URL": "x"})
    assert "did you mean LOYALNEST_DATABASE_URL?" in message


def test_other_programs_variables_are_not_ours() -> None:
    assert load(environ={"LOYAL": "1", "HOME": "/"}) == load()


def test_an_unknown_key_of_the_file_is_refused_with_the_nearest_name() -> None:
    Path("loyalnest.toml").write_text('http_bnd = "127.0.0.1:1"\n')
    message = refused()
    assert message.startswith("http_bnd (from file:loyalnest.toml)")
    assert "did you mean http_bind?" in message


@pytest.mark.parametrize("value", ["true", "[1]", "1979-05-27", "{ a = 1 }"])
def test_a_value_of_the_file_must_be_a_text_or_a_number(value: str) -> None:
    Path("loyalnest.toml").write_text(f"http_drain_s = {value}\n")
    assert "a text or a number" in refused()


def test_a_file_that_cannot_be_used_is_named() -> None:
    assert "nowhere.toml (--config): No such file" in refused(file="nowhere.toml")
    Path("bad.toml").write_text("= 1")
    assert "bad.toml (env LOYALNEST_CONFIG): not TOML" in refused(
        environ={"LOYALNEST_CONFIG": "bad.toml"}
    )
    Path("latin.toml").write_bytes(b'log_level = "\xe9"')
    assert "not UTF-8" in refused(file="latin.toml")


def test_passwords_are_masked_wherever_a_url_is_shown() -> None:
    settings = load({"redis_url": "redis://me:se@cret@cache:6379/1"})
    assert settings.shown("redis_url") == "redis://me:***@cache:6379/1"
    assert "cret" not in repr(settings)
    assert "cret" not in refused({"redis_url": "redis://me:secret@cache/none"})
    assert "cret" not in refused({"redis_url": "redis:me:secret@cache"})


@pytest.mark.parametrize(
    "url", ["redis://cache", "rediss://:secret@cache:6380/2", "unix:///run/redis.sock"]
)
def test_a_redis_is_named_by_host_or_by_socket(url: str) -> None:
    assert load({"redis_url": url}).redis_url == url


def test_every_setting_can_be_set_by_each_of_its_names() -> None:
    texts = {spec.name: spec.default.format(data_dir="/d") for spec in specs()}
    by_env = load(environ={spec.env: texts[spec.name] for spec in specs()})
    by_flag = load(texts)
    assert by_env == by_flag
    assert {by_env.sources[spec.name].kind.value for spec in specs()} == {"env"}
    assert {by_flag.sources[spec.name].kind.value for spec in specs()} == {"flag"}
