"""Secret files: what is read, who else may read it, and what is never said of it."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import SettingsError, load_settings
from config.parsers import masked_url, password_in, redis_url, with_password
from config.secret_files import SECRET_MAX_BYTES, UrlSecret, exposure, read_secret

CANARY = "c4n4ry-Xy7"
NOBODY = 65_534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture(autouse=True)
def _empty_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_secret_is_what_the_file_holds_without_the_newline_at_its_end(tmp_path: Path) -> None:
    assert read_secret(written(tmp_path / "a", " pass word \n")) == " pass word "
    assert read_secret(written(tmp_path / "b", "x\r\n")) == "x"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (f"{CANARY}\nmore".encode(), "not one line of text"),
        (CANARY.encode() + b"\0", "not one line of text"),
        (CANARY.encode() + b"\xff", "not UTF-8"),
        (CANARY.encode() * SECRET_MAX_BYTES, "more than"),
    ],
)
def test_what_cannot_be_a_secret_is_refused_without_quoting_it(
    tmp_path: Path, content: bytes, said: str
) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        read_secret(written(tmp_path / "secret", content))
    assert CANARY not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nowhere: No such file"):
        read_secret(tmp_path / "nowhere")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_file_of_our_own_is_for_its_owner_alone(tmp_path: Path, mode: int) -> None:
    secret = written(tmp_path / "secret", CANARY)
    secret.chmod(mode)
    assert "chmod 600" in str(exposure(secret))
    secret.chmod(0o400)
    assert exposure(secret) is None


@pytest.fixture
def mount() -> Iterator[Path]:
    """A directory that everybody may enter, as that of a test is not."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@as_root
def test_a_mounted_file_may_be_read_by_its_group_and_not_by_everybody(mount: Path) -> None:
    """As Kubernetes mounts it: the file behind two symbolic links, owned by somebody else."""
    (mount / "..2026_03").mkdir(0o755)
    real = written(mount / "..2026_03" / "password", CANARY)
    (mount / "..data").symlink_to("..2026_03")
    (mount / "password").symlink_to("..data/password")
    os.chown(real, NOBODY, NOBODY)
    real.chmod(0o440)
    assert exposure(mount / "password") is None
    real.chmod(0o444)
    assert "readable by everybody" in str(exposure(mount / "password"))
    mount.chmod(0o700)
    assert exposure(mount / "password") is None


def test_a_secret_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        exposure(tmp_path / "nowhere")


def test_a_password_of_a_file_is_put_into_the_url(tmp_path: Path) -> None:
    password = written(tmp_path / "password", "a@b/c:d%\n")
    settings = load_settings(
        {"database_url": "postgresql://me@db/x", "database_password_file": str(password)}, {}
    )
    assert settings.database_url == "postgresql://me:a%40b%2Fc%3Ad%25@db/x"
    assert str(settings.sources["database_url"]) == "--database-url"


def test_a_url_of_a_file_takes_the_place_of_the_setting(tmp_path: Path) -> None:
    file = written(tmp_path / "redis", f"redis://:{CANARY}@cache:6379/1\n")
    settings = load_settings({}, {"LOYALNEST_REDIS_URL_FILE": str(file)})
    assert settings.redis_url == f"redis://:{CANARY}@cache:6379/1"
    assert str(settings.sources["redis_url"]) == f"secret file:{file}"
    assert CANARY not in repr(settings) + settings.shown("redis_url")


def test_a_file_and_a_setting_for_the_same_url_exclude_each_other(tmp_path: Path) -> None:
    file = written(tmp_path / "redis", "redis://cache")
    with pytest.raises(SettingsError, match="exclude each other"):
        load_settings({"redis_url": "redis://x"}, {"LOYALNEST_REDIS_URL_FILE": str(file)})


def test_a_password_for_a_store_without_one_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "password", CANARY)
    with pytest.raises(SettingsError, match="no server that has a password"):
        load_settings({}, {"LOYALNEST_DATABASE_PASSWORD_FILE": str(file)})
    with pytest.raises(SettingsError, match="no server that has a password"):
        load_settings({"redis_password_file": str(file)}, {})


def test_a_wrong_url_in_a_file_is_refused_without_quoting_it(tmp_path: Path) -> None:
    file = written(tmp_path / "url", f"postgresql://me:{CANARY}@")
    with pytest.raises(SettingsError, match=r"what is in .*url is wrong") as caught:
        load_settings({"database_url_file": str(file)}, {})
    assert CANARY not in str(caught.value)


def test_a_secret_that_changes_is_read_as_it_is_now(tmp_path: Path) -> None:
    """The way Kubernetes changes it: by pointing `..data` elsewhere."""
    for version, password in (("1", "old"), ("2", "new")):
        (tmp_path / version).mkdir()
        written(tmp_path / version / "password", password)
    data = tmp_path / "..data"
    data.symlink_to("1")
    secret = UrlSecret("redis", redis_url, "redis://h", None, data / "password")
    assert secret.read() == "redis://:old@h"
    (tmp_path / "..data_tmp").symlink_to("2")
    (tmp_path / "..data_tmp").replace(data)
    assert secret.read() == "redis://:new@h"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:{}@db:5432/x",
        "postgresql://me:{}@db:5432",
        "postgresql://me:{}",
        "postgresql://me:{}/x",
        "postgresql://:{}@/x?host=/run",
        "postgresql://me@db/x?password={}&sslmode=require",
        "postgresql://me@db/x?PASSWORD={}",
        "postgresql://me@db/x?sslmode=require&passfile={}",
        "postgresql:me:{}@db/x",
        "redis://:{}@cache/0",
        "redis:me:{}",
        "rediss://me:{}@cache:99999/0",
        "unix://me:{}@/run/redis.sock",
        "mysql://me:{}@db/x",
    ],
)
@given(
    before=st.text(max_size=5),
    after=st.text(max_size=5),
)
def test_no_url_is_shown_with_its_password(url: str, before: str, after: str) -> None:
    ends = "&#/" if "@" in url else "&#/@"
    inside = "".join(c for c in before + CANARY + after if c not in ends and c.isprintable())
    assert CANARY not in masked_url(url.format(inside))


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////data/a:b@c.db",
        "postgresql://me@db:5432/x?sslmode=require",
        "postgresql://[::1]:5432/x",
        "redis://cache:6379/1",
        "unix:///run/redis.sock",
    ],
)
def test_a_url_without_a_password_is_shown_as_it_is(url: str) -> None:
    assert masked_url(url) == url


@given(st.text(min_size=1).filter(str.isprintable), st.sampled_from(["me:old@", "me@", ""]))
def test_a_password_that_was_put_in_is_the_one_found(password: str, user: str) -> None:
    url = with_password(f"postgresql://{user}db:5432/x?sslmode=require", password)
    assert password_in(url) == password
    assert url.endswith("@db:5432/x?sslmode=require")
