"""The file `.env`: read in development, beside the environment."""

from pathlib import Path

import pytest

from config import SettingsError, load_settings
from config.dotenv import read_dotenv


@pytest.fixture(autouse=True)
def _empty_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_lines_in_all_their_forms() -> None:
    Path(".env").write_text(
        "# a comment\n\nA=1\nexport B = two words \nC='single # quoted'\n"
        'D="double = quoted" # comment\nE=\nF=x#y\nG=z # comment\n'.replace("F=x#y\n", "")
    )
    assert read_dotenv(Path(".env")) == {
        "A": "1",
        "B": "two words",
        "C": "single # quoted",
        "D": "double = quoted",
        "E": "",
        "G": "z",
    }


@pytest.mark.parametrize("line", ["canary", "1A=canary", "A='canary", "=canary"])
def test_a_wrong_line_is_told_by_its_number_and_not_quoted(line: str) -> None:
    Path(".env").write_text(f"OK=1\n{line}\n")
    with pytest.raises(SettingsError, match=r"\.env, line 2: not NAME=value") as caught:
        read_dotenv(Path(".env"))
    assert "canary" not in str(caught.value)


def test_the_environment_wins_over_dotenv_and_dotenv_over_the_file() -> None:
    Path(".env").write_text("LOYALNEST_HTTP_DRAIN_S=2\nLOYALNEST_LOG_LEVEL=error\nHOME=x\n")
    Path("loyalnest.toml").write_text("http_drain_s = 3\nlog_format = 'json'\n")
    settings = load_settings({}, {"LOYALNEST_LOG_LEVEL": "debug"})
    assert (settings.http_drain_s, settings.log_level, settings.log_format) == (2, "debug", "json")
    assert str(settings.sources["http_drain_s"]) == ".env LOYALNEST_HTTP_DRAIN_S"


def test_policies_may_be_set_in_dotenv_too() -> None:
    Path(".env").write_text("LOYALNEST_POLICIES__POINTS__ATTEMPTS_MAX=1\n")
    assert load_settings({}, {}).policies["points"].attempts_max == 1


def test_production_does_not_read_dotenv() -> None:
    Path(".env").write_text("LOYALNEST_HTTP_DRAIN_S=2\nnonsense\n")
    assert load_settings({"environment": "production"}, {}).http_drain_s == 15


def test_dotenv_does_not_say_where_we_are() -> None:
    Path(".env").write_text("LOYALNEST_ENVIRONMENT=production\n")
    with pytest.raises(SettingsError, match="set it in another place"):
        load_settings({}, {})


def test_an_unknown_variable_is_refused_as_one_of_the_environment_is() -> None:
    Path(".env").write_text("LOYALNEST_DATABSE_URL=x\n")
    with pytest.raises(SettingsError, match=r"from \.env.*did you mean LOYALNEST_DATABASE_URL"):
        load_settings({}, {})
