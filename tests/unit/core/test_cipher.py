"""Sealing, blind indexes, the file of keys, and the forms in which contacts are compared."""

import hashlib
import hmac
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.cipher import Sealed, Vault, generated_keys, with_next_version
from actors.core.contacts import email_key, phone_key, search_name
from actors.core.data_keys import DataKeyStore, parsed, text_of
from actors.core.errors import DataKeyError, Unsealable
from actors.vocabulary import Refusal

KEYS = generated_keys()


@given(text=st.text(max_size=300))
def test_what_is_sealed_opens_for_the_same_merchant_and_purpose_alone(text: str) -> None:
    vault = Vault(KEYS)
    sealed = vault.seal("flora", "email", text, Random(1))
    assert vault.open("flora", "email", sealed) == text
    for merchant_id, purpose in (("rival", "email"), ("flora", "phone")):
        with pytest.raises(Unsealable):
            vault.open(merchant_id, purpose, sealed)


def test_one_changed_bit_is_noticed() -> None:
    vault = Vault(KEYS)
    sealed = vault.seal("flora", "email", "ada@example.com", Random(1))
    flipped = "A" if sealed.text[20] != "A" else "B"
    broken = sealed._replace(text=sealed.text[:20] + flipped + sealed.text[21:])
    for wrong in (broken, Sealed("no base 64!", 1), Sealed(sealed.text, 2)):
        with pytest.raises(Unsealable):
            vault.open("flora", "email", wrong)


def test_a_new_key_seals_and_the_old_one_still_opens() -> None:
    vault = Vault(KEYS)
    old = vault.seal("flora", "email", "ada@example.com", Random(1))
    index = vault.blind_index("flora", "email", "ada@example.com")
    assert vault.replace(with_next_version(KEYS))
    new = vault.seal("flora", "email", "ada@example.com", Random(1))
    assert (old.version, new.version) == (1, 2)
    assert vault.open("flora", "email", old) == vault.open("flora", "email", new)
    assert vault.blind_index("flora", "email", "ada@example.com") == index


def test_equal_addresses_of_two_merchants_have_different_indexes() -> None:
    vault = Vault(KEYS)
    indexes = {vault.blind_index(m, "email", "a@b.c") for m in ("flora", "rival")}
    assert len(indexes | {vault.blind_index("flora", "phone", "a@b.c")}) == 3


@given(text=st.text(max_size=100))
def test_a_blind_index_is_what_was_stored_for_the_same_text_ever_since(text: str) -> None:
    message = b"\0\0\0\x0bemail\0flora" + text.encode()
    expected = hmac.new(KEYS.index, message, hashlib.sha256).hexdigest()
    assert Vault(KEYS).blind_index("flora", "email", text) == expected


def test_without_keys_nothing_is_sealed_opened_or_found() -> None:
    vault = Vault()
    with pytest.raises(Unsealable):
        vault.seal("flora", "email", "ada@example.com", Random(1))
    with pytest.raises(Unsealable):
        vault.open("flora", "email", Vault(KEYS).seal("flora", "email", "a", Random(1)))
    with pytest.raises(Unsealable):
        vault.blind_index("flora", "email", "ada@example.com")


def test_contacts_are_found_by_half_of_a_blind_index() -> None:
    vault = Vault(KEYS)
    about = ("flora", "email", "ada@example.com")
    assert vault.contact_index(*about) == vault.blind_index(*about)[:32]


def test_keys_are_made_once_kept_to_their_owner_and_rotated(tmp_path: Path) -> None:
    store = DataKeyStore(tmp_path)
    keys = store.read()
    assert store.read() == keys == parsed(text_of(keys))
    assert store.path.stat().st_mode & 0o777 == 0o600
    rotated = store.rotate()
    assert (rotated.current, rotated.index) == (2, keys.index)
    assert rotated.versions[1] == keys.versions[1]
    store.path.chmod(0o644)
    with pytest.raises(DataKeyError, match="chmod 600"):
        store.read()


def test_production_makes_no_keys(tmp_path: Path) -> None:
    with pytest.raises(DataKeyError, match="No such file"):
        DataKeyStore(tmp_path, may_make=False).read()


@pytest.mark.parametrize(
    "text", ["", "index AAAA", "data 1 AAAA", text_of(KEYS) * 2, "index !\ndata 1 !"]
)
def test_a_file_that_is_none_is_refused_without_quoting_it(tmp_path: Path, text: str) -> None:
    store = DataKeyStore(tmp_path)
    store.path.write_text(text)
    store.path.chmod(0o600)
    with pytest.raises(DataKeyError, match=r"not a file of data keys$"):
        store.read()


@pytest.mark.parametrize("text", [" Ada@Example.COM ", "ADA@example.com", "ada@ＥＸＡＭＰＬＥ.com"])  # noqa: RUF001
def test_addresses_are_compared_without_case_and_width(text: str) -> None:
    assert email_key(text) == "ada@example.com"


@pytest.mark.parametrize("text", ["", "ada", "ada@", "@example.com", "ada@example", "a b@c.de"])
def test_what_is_no_address_is_refused_without_quoting_it(text: str) -> None:
    refusal = email_key(text)
    assert isinstance(refusal, Refusal)
    assert refusal.detail == "that is no e-mail address"


@pytest.mark.parametrize("text", ["+41 79 123-45-67", "0041791234567", "+41(79)1234567"])
def test_numbers_are_compared_as_the_network_dials_them(text: str) -> None:
    assert phone_key(text) == "+41791234567"


@pytest.mark.parametrize("text", ["079 123 45 67", "+0123", "+41", "+4179123456789012", "x"])
def test_a_number_without_a_country_is_refused(text: str) -> None:
    assert isinstance(phone_key(text), Refusal)


def test_names_are_looked_for_without_accents_and_case() -> None:
    assert search_name("Zoé MÜLLER") == "zoe muller"
