"""Signing keys in files: made, rotated, revoked, and accepted as long as their tokens live."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from actors.auth.errors import KeyFileError
from actors.auth.keys import KEY_FILE, KeyStore
from actors.auth.messages import MAX_TTL_S
from actors.auth.records import LOCK_FILE, RECORDS_FILE

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
A_DAY = timedelta(seconds=MAX_TTL_S)


def kids(store: KeyStore, now: datetime = NOW) -> list[str]:
    return [key.kid for key in store.read(now).accepted]


def test_a_key_is_made_on_first_use_for_its_owner_alone(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    key = store.signing_key()
    assert store.path.stat().st_mode & 0o777 == 0o600
    assert kids(store) == [key.kid]
    assert KeyStore(tmp_path).signing_key().kid == key.kid


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_key_is_not_made_where_it_should_be_already(tmp_path: Path, elsewhere: bool) -> None:
    store = KeyStore(tmp_path, tmp_path / "x.pem" if elsewhere else None, may_make=elsewhere)
    with pytest.raises(KeyFileError, match="No such file"):
        store.read(NOW)


def test_after_a_rotation_the_new_key_signs_and_the_old_one_is_accepted(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    old = store.read(NOW).signing
    new = store.rotate(NOW)
    assert new.kid != old.kid
    assert store.signing_key().kid == new.kid
    assert kids(store, NOW) == [new.kid, old.kid]


def test_a_replaced_key_is_accepted_until_the_last_token_has_expired(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    old = store.read(NOW).signing
    new = store.rotate(NOW)
    assert kids(store, NOW + A_DAY) == [new.kid, old.kid]
    assert kids(store, NOW + A_DAY + timedelta(minutes=2)) == [new.kid]
    assert old.kid not in (tmp_path / RECORDS_FILE).read_text()


def test_a_key_that_was_replaced_from_outside_is_noticed_also_after_a_restart(
    tmp_path: Path,
) -> None:
    other = KeyStore(tmp_path / "other")
    mounted = tmp_path / KEY_FILE
    KeyStore(tmp_path / "first").signing_key()
    mounted.write_bytes(_file(tmp_path / "first"))
    mounted.chmod(0o600)
    store = KeyStore(tmp_path / "data", mounted)
    first = store.read(NOW).signing
    other.signing_key()
    mounted.write_bytes(_file(tmp_path / "other"))
    after_restart = KeyStore(tmp_path / "data", mounted)
    assert kids(after_restart, NOW + A_DAY / 2) == [other.signing_key().kid, first.kid]


def _file(directory: Path) -> bytes:
    return (directory / KEY_FILE).read_bytes()


def test_many_rotations_in_a_row_leave_all_their_keys_accepted(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    made = [store.rotate(NOW + timedelta(minutes=number)).kid for number in range(10)]
    assert kids(store, NOW + timedelta(minutes=10)) == made[::-1]


def test_a_key_that_comes_back_signs_again(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    first = store.read(NOW).signing
    raw = _file(tmp_path)
    store.rotate(NOW)
    store.path.write_bytes(raw)
    assert kids(store, NOW)[0] == first.kid
    assert kids(store, NOW + A_DAY * 3)[0] == first.kid


def test_a_revoked_key_is_not_accepted_any_more(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    old = store.read(NOW).signing
    new = store.rotate(NOW)
    assert store.records.forget(old.kid)
    assert not store.records.forget(old.kid)
    assert kids(store) == [new.kid]


def test_keys_in_files_beside_it_are_accepted_and_do_not_sign(tmp_path: Path) -> None:
    """So that every server knows the next key before the first one signs with it."""
    other = KeyStore(tmp_path / "other").signing_key()
    third = KeyStore(tmp_path / "third").signing_key()
    store = KeyStore(tmp_path / "data")
    mine = store.signing_key()
    (tmp_path / "data" / "verify-next.pem").write_bytes(_file(tmp_path / "other"))
    (tmp_path / "data" / "verify-next.pem").chmod(0o600)
    (tmp_path / "data" / "verify-x.pem").write_text(third.verification_key().public_pem)
    assert kids(store) == [mine.kid, other.kid, third.kid]


@pytest.mark.parametrize("name", [KEY_FILE, "verify-a.pem"])
@pytest.mark.parametrize("content", ["", "canary", "-----BEGIN PRIVATE KEY-----\ncanary\n"])
def test_a_file_that_is_no_key_is_named_and_not_quoted(
    tmp_path: Path, name: str, content: str
) -> None:
    store = KeyStore(tmp_path)
    store.signing_key()
    (tmp_path / name).write_text(content)
    (tmp_path / name).chmod(0o600)
    with pytest.raises(KeyFileError, match=name) as caught:
        store.read(NOW)
    assert "canary" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_private_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    store.signing_key()
    store.path.chmod(0o640)
    with pytest.raises(KeyFileError, match="readable by others"):
        store.read(NOW)


def test_a_record_that_others_may_write_is_refused(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    store.read(NOW)
    (tmp_path / RECORDS_FILE).chmod(0o602)
    with pytest.raises(KeyFileError, match="may write it"):
        store.read(NOW)


def test_a_damaged_record_is_told_and_not_overwritten(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    store.read(NOW)
    (tmp_path / RECORDS_FILE).write_text("{")
    with pytest.raises(KeyFileError, match="damaged"):
        store.read(NOW)
    assert (tmp_path / RECORDS_FILE).read_text() == "{"


def test_reading_again_writes_nothing(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    store.read(NOW)
    before = (tmp_path / RECORDS_FILE).stat()
    store.read(NOW + timedelta(hours=1))
    after = (tmp_path / RECORDS_FILE).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_readers_and_a_rotation_at_the_same_time_lose_no_key(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    first = store.read(NOW).signing
    threads = [threading.Thread(target=store.read, args=(NOW,)) for _ in range(8)]
    for thread in threads[:4]:
        thread.start()
    new = store.rotate(NOW)
    for thread in threads[4:]:
        thread.start()
    for thread in threads:
        thread.join()
    assert kids(store) == [new.kid, first.kid]
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {KEY_FILE, RECORDS_FILE, LOCK_FILE}
