"""The knobs of the policies: tables of the file, variables, and what is refused."""

from pathlib import Path

import attrs
import pytest

from config import SettingsError, load_settings
from config.policies import DEPENDENCIES, PolicySettings, knobs
from config.policy_loading import default_policies


@pytest.fixture(autouse=True)
def _empty_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings({}, environ)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_every_dependency_has_its_defaults() -> None:
    settings = load_settings({}, {})
    assert settings.policies == default_policies()
    assert settings.policies.keys() == DEPENDENCIES.keys()
    assert settings.policies["database"].deadline_s == 1
    assert settings.policies["redis"].deadline_s == 0.1
    assert settings.policies["points"].attempts_max == 2


def test_the_file_wins_over_the_default_and_the_environment_over_the_file() -> None:
    Path("loyalnest.toml").write_text(
        "[policies.points]\nbreaker_open_s = 2\nattempts_max = 1\n"
        '[policies.redis]\ndeadline_s = "0.2"\n'
    )
    settings = load_settings({}, {"LOYALNEST_POLICIES__POINTS__BREAKER_OPEN_S": "3"})
    points = settings.policies["points"]
    assert (points.breaker_open_s, points.attempts_max) == (3, 1)
    assert settings.policies["redis"].deadline_s == 0.2
    shown = {
        name: str(settings.sources[f"policies.points.{name}"])
        for name in ("breaker_open_s", "attempts_max", "wait_s")
    }
    assert shown == {
        "breaker_open_s": "env LOYALNEST_POLICIES__POINTS__BREAKER_OPEN_S",
        "attempts_max": "file:loyalnest.toml",
        "wait_s": "default",
    }


def test_every_knob_can_be_set() -> None:
    names = [field.name for field in attrs.fields(PolicySettings)]
    assert [knob.name for knob in knobs("points")] == names
    environ = {
        f"LOYALNEST_POLICIES__{name.upper()}__{knob.name.upper()}": knob.default
        for name in DEPENDENCIES
        for knob in knobs(name)
    }
    settings = load_settings({}, environ)
    assert settings.policies == default_policies()
    of_policies = {name for name in settings.sources if name.startswith("policies.")}
    kinds = {settings.sources[name].kind.value for name in of_policies}
    assert kinds == {"env"}


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        (
            "POINT__WAIT_S",
            "1",
            "POINT__WAIT_S (from the environment): point is not a dependency; did you mean points?",
        ),
        ("POINTS__WAITS", "1", "waits is not a knob of points; did you mean wait_s?"),
        ("POINTS", "1", "is not a knob of points; allowed: "),
        ("REDIS__RUNNING_MAX", "1", "running_max is not a knob of redis"),
        (
            "POINTS__BREAKER_SLOW_SHARE",
            "2",
            "SLOW_SHARE): '2' is wrong; allowed: a number from 0 to 1",
        ),
        ("POINTS__BREAKER_SLOW_SHARE", "half", "a number from 0 to 1"),
        ("POINTS__ATTEMPTS_MAX", "0", "a whole number from 1 to 10"),
    ],
)
def test_what_is_wrong_in_the_environment_is_named(variable: str, text: str, said: str) -> None:
    assert said in refused(**{f"LOYALNEST_POLICIES__{variable}": text})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("policies = 3", "policies (from file:loyalnest.toml): must be a table"),
        ("[policies]\npoints = 3", "policies.points (from file:loyalnest.toml): must be a table"),
        ("[policies.mial]\nwait_s = 3", "mial is not a dependency"),
        ("[policies.points]\nwait_s = true", "policies.points.wait_s (from file:loyalnest.toml):"),
        ("[polices.points]\nwait_s = 3", "did you mean policies?"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(text: str, said: str) -> None:
    Path("loyalnest.toml").write_text(text)
    assert said in refused()
