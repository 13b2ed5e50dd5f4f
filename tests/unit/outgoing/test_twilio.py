"""Twilio's signatures and words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.outgoing.ports import TextState
from actors.outgoing.twilio import is_signed, signature_of, status_of

URL = "https://example.com/myapp.php?foo=1&bar=2"
FORM = (
    ("Digits", "1234"),
    ("To", "+18005551212"),
    ("From", "+14158675310"),
    ("Caller", "+14158675310"),
    ("CallSid", "CA1234567890ABCDE"),
)


def test_the_signature_of_the_example_in_the_providers_manual() -> None:
    assert signature_of("12345", URL, FORM) == "L/OH5YylLD5NRKLltdqwSvS0BnU="


def test_either_token_counts_and_no_other() -> None:
    signature = signature_of("old", URL, FORM)
    assert is_signed(signature, URL, FORM, ("new", "old"))
    assert not is_signed(signature, URL, FORM, ("new",))
    assert not is_signed(signature, URL, FORM, ())
    assert not is_signed("", URL, FORM, ("new", "old"))


@given(st.permutations(FORM))
def test_the_order_of_the_form_does_not_count(form: list[tuple[str, str]]) -> None:
    assert is_signed(signature_of("t", URL, FORM), URL, form, ("t",))


@pytest.mark.parametrize(
    ("url", "form"),
    [
        (URL.replace("https", "http"), FORM),
        (f"{URL}&merchant_id=other", FORM),
        (URL, FORM[1:]),
        (URL, (*FORM, ("MessageStatus", "delivered"))),
        (URL, (("Digits", "12345"), *FORM[1:])),
    ],
)
def test_whatever_was_changed_is_noticed(url: str, form: tuple[tuple[str, str], ...]) -> None:
    assert not is_signed(signature_of("t", URL, FORM), url, form, ("t",))


@pytest.mark.parametrize(
    ("word", "code", "state"),
    [
        ("queued", None, TextState.SENT),
        ("sent", "", TextState.SENT),
        ("delivered", None, TextState.DELIVERED),
        ("read", None, TextState.DELIVERED),
        ("undelivered", "30003", TextState.UNDELIVERED),
        ("undelivered", "21610", TextState.OPTED_OUT),
        ("failed", 21610, TextState.OPTED_OUT),
        ("canceled", None, TextState.FAILED),
    ],
)
def test_words_are_states(word: str, code: object, state: TextState) -> None:
    told = status_of("SM1", word, code)
    assert told is not None
    assert told.state is state


@pytest.mark.parametrize("sid", [None, "", "SM 1", "x" * 65, 7])
@pytest.mark.parametrize("word", ["delivered", "teleported", None])
def test_what_is_not_known_is_nothing(sid: object, word: object) -> None:
    assert status_of(sid, word) is None
