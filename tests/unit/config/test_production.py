"""What production refuses to start with."""

from pathlib import Path

import pytest

from config import InsecureSettings, Settings, check_production, load_settings

GOOD = "Zu4-nachtigall"


@pytest.fixture(autouse=True)
def _empty_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def secret(name: str, text: str, mode: int = 0o600) -> str:
    path = Path(name).absolute()
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def problems(demo: bool = False, key_needed: bool = True, **settings: str) -> list[str]:
    """One line each, and none of them with a password in it."""
    if "signing_key_file" not in settings:
        settings["signing_key_file"] = secret("key.pem", "key")
    settings.setdefault("personal_data_key_file", secret("data.keys", "keys"))
    loaded = load_settings({"environment": "production"} | settings, {})
    refusal = refused(loaded, demo, key_needed)
    if refusal is None:
        return []
    lines = str(refusal).splitlines()
    assert [f"production: {problem}" for problem in refusal.problems] == lines
    assert GOOD not in str(refusal)
    return lines


def refused(settings: Settings, demo: bool, key_needed: bool) -> InsecureSettings | None:
    try:
        check_production(settings, demo=demo, key_needed=key_needed)
    except InsecureSettings as error:
        return error
    return None


def test_an_embedded_database_with_a_key_of_its_own_is_fine() -> None:
    assert problems() == []


def test_passwords_in_files_are_fine() -> None:
    found = problems(
        database_url="postgresql://shop@db/x",
        database_password_file=secret("database", GOOD),
        redis_url_file=secret("redis", f"redis://:{GOOD}@cache/1"),
    )
    assert found == []


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me@/x?host=/run/postgresql",
        "postgresql://me@db/x?sslcert=/etc/me.crt",
    ],
)
def test_a_login_without_a_password_by_other_means_is_fine(url: str) -> None:
    assert problems(database_url=url, redis_url="unix:///run/redis.sock") == []


def test_a_server_without_a_password_is_refused() -> None:
    database, redis = problems(database_url="postgresql://me@db/x", redis_url="redis://cache")
    assert database == (
        "production: database_url (from --database-url): the database has no password;"
        " name a file with it as database_password_file"
    )
    assert redis.endswith("name a file with it as redis_password_file")


@pytest.mark.parametrize("password", ["postgres", "CHANGEME", "shop", "secret", "..."])
def test_a_default_password_is_refused(password: str) -> None:
    (line,) = problems(
        database_url="postgresql://shop@db/x",
        database_password_file=secret("database", password),
    )
    assert "default" in line


def test_a_password_outside_of_a_file_is_refused() -> None:
    lines = problems(
        database_url=f"postgresql://shop:{GOOD}@db/x",
        redis_url=f"redis://:{GOOD}@cache",
    )
    assert [line.partition(" (")[0] for line in lines] == [
        "production: database_url",
        "production: redis_url",
    ]
    assert all("belongs in a file" in line for line in lines)
    query = problems(database_url=f"postgresql://shop@db/x?password={GOOD}")
    assert "belongs in a file" in query[0]


def test_a_secret_that_others_may_read_is_refused() -> None:
    lines = problems(
        database_url_file=secret("database", f"postgresql://shop:{GOOD}@db/x", 0o644),
        signing_key_file=secret("key.pem", "key", 0o640),
    )
    assert [Path(line.split()[3].rstrip(":")).name for line in lines] == ["database", "key.pem"]
    assert all("readable by others" in line for line in lines)


def test_a_missing_key_is_refused_unless_it_is_not_needed() -> None:
    (line,) = problems(signing_key_file="nowhere.pem")
    assert "nowhere.pem: No such file" in line
    assert problems(signing_key_file="nowhere.pem", key_needed=False) == []


def test_chaos_and_demo_data_are_refused() -> None:
    lines = problems(demo=True, chaos_allowed="yes")
    assert ["chaos_allowed" in lines[0], "--demo" in lines[1]] == [True, True]


def test_every_reason_is_told_at_once() -> None:
    lines = problems(
        demo=True,
        chaos_allowed="yes",
        database_url="postgresql://shop@db/x",
        signing_key_file="nowhere.pem",
    )
    assert len(lines) == 4


def test_development_refuses_none_of_it() -> None:
    settings = load_settings(
        {"database_url": "postgresql://postgres:postgres@db/x", "chaos_allowed": "yes"}, {}
    )
    check_production(settings, demo=True)
    assert settings.environment == "development"
