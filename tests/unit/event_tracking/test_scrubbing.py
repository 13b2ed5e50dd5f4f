"""Personal data in the properties of events: what goes, and what must stay."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.event_tracking.scrubbing import DEPTH_MAX, TooDeep, scrub, scrubbed_text


@pytest.mark.parametrize(
    "name",
    ["email", "E-Mail", "customer_email", "phoneNumber", "First Name", "street-address", "IP",
     "cardNumber", "card_number", "accessToken", "password", "dateOfBirth", "zip"],
)  # fmt: skip
def test_values_go_whose_names_say_that_they_are_personal(name: str) -> None:
    assert scrub({name: "Ada", "sku": "ROSES-12"}) == {name: "***", "sku": "ROSES-12"}
    assert scrub({name: {"inside": [1, 2]}}) == {name: "***"}
    assert scrub({name: None}) == {name: None}


@pytest.mark.parametrize("name", ["tip", "ship_days", "amount", "page", "city_trip"])
def test_names_that_only_look_alike_stay(name: str) -> None:
    assert scrub({name: "Ada"}) == {name: "Ada"}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("write to ada@example.com!", "write to ***e-mail***!"),
        ("or +41 79 123 45 67", "or ***phone***"),
        ("paid with 4111-1111-1111-1111", "paid with ***card***"),
        ("from CH93 0076 2011 6238 5295 7 to us", "from ***iban*** to us"),
        ("Authorization: Bearer abcdefghijk", "Authorization: Bearer ***"),
        ("/reset?token=abcdef123", "/reset?token=***"),
    ],
)
def test_what_is_inside_of_texts_goes(text: str, left: str) -> None:
    assert scrubbed_text(text) == left
    assert scrub({"list": [{"note": text}, [text]]}) == {"list": [{"note": left}, [left]]}
    assert set(scrub({text: 1})) == {left}


@pytest.mark.parametrize(
    "text",
    ["ROSES-12", "order 1234567890123456", "CH93 0076", "2026-05-01T12:00:00Z",
     "12.50", "5f0c9a1e-3b7d-4d3e-9f65-0a1b2c3d4e5f", "/roses/twelve"],
)  # fmt: skip
def test_numbers_without_a_right_check_digit_and_everyday_texts_stay(text: str) -> None:
    assert scrubbed_text(text) == text


def test_what_is_too_deep_is_refused() -> None:
    def nested(depth: int, leaf: Any) -> Any:
        return leaf if depth == 0 else {"in": nested(depth - 1, leaf)}

    assert scrub(nested(DEPTH_MAX, "x")) == nested(DEPTH_MAX, "x")
    for deep in (nested(DEPTH_MAX + 1, "x"), {"list": [[[[[[[[[[["x"]]]]]]]]]]]}):
        with pytest.raises(TooDeep):
            scrub(deep)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=10), JSON, max_size=4))
def test_scrubbing_twice_changes_nothing_more(properties: dict[str, Any]) -> None:
    once = scrub(properties)
    assert scrub(dict(once)) == once
