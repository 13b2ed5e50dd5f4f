"""The harness of the random requests: it finds, tells apart, and says how to do it again."""

from typing import Any

import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode

from tests.fuzz.documented import operation_names
from tests.fuzz.generating import SEED, for_each, naming_what_exists
from tests.fuzz.service import example_of

CASES = 5

SKU: dict[str, Any] = {
    "type": "object",
    "properties": {"sku": {"type": "string"}},
    "required": ["sku"],
}
BODY = {"required": True, "content": {"application/json": {"schema": SKU}}}
POST = {"requestBody": BODY, "responses": {"200": {"description": "Fine"}}}
DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Small", "version": "1"},
    "paths": {"/p": {"post": POST}},
}


def test_every_kind_of_failure_is_told_once_with_the_seed() -> None:
    def test(value: int) -> None:
        assert value % 3 != 0, "a multiple of three"
        assert value % 3 != 1, "one more than a multiple of three"

    with pytest.raises(BaseExceptionGroup, match="2 kinds of failure") as raised:
        for_each(st.sampled_from(range(CASES)), test, CASES)
    assert f"FUZZ_SEED={SEED}" in raised.value.__notes__[0]


def test_the_same_seed_gives_the_same_values() -> None:
    runs: list[list[int]] = [[], []]
    for seen in runs:
        for_each(st.integers(), seen.append, CASES)
    assert runs[0] == runs[1]
    assert len(set(runs[0])) > 1


def test_nothing_to_generate_is_no_failure() -> None:
    for_each(st.nothing(), lambda value: pytest.fail(f"{value}"), CASES)


def test_an_unforeseen_error_is_not_collected_but_raised() -> None:
    def test(_value: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        for_each(st.integers(), test, CASES)


def test_what_is_learnt_meanwhile_does_not_change_what_is_generated() -> None:
    operation = schemathesis.openapi.from_dict(DOCUMENT)["/p"]["POST"]
    cases = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)

    def generated(*, learning: bool) -> list[str]:
        known, seen = {"sku": ["A"]}, list[str]()

        def ask(case: Any) -> None:
            seen.append(case.body["sku"])
            if learning:
                known["sku"].insert(0, "B")

        for_each(naming_what_exists(cases, known), ask, 4 * CASES)
        return seen

    assert generated(learning=True) == generated(learning=False)


def test_a_template_has_an_example() -> None:
    assert example_of("/v1/orders/{order_id}") == "/v1/orders/order_id"
    assert "GET /v1/openapi.json" in operation_names()
