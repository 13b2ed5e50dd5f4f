"""Random requests to every operation are answered as the server's own document says.

The document is the oracle: status, media type, headers and body of every answer. A server that
nobody hurts never answers 5xx, and its log and its ledger are in order at the end. Each test is
about one operation, with requests that are right, with and without a right to ask, that are wrong,
or no requests at all.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import strategies as st
from schemathesis import CheckContext, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from actors.auth.messages import Role
from tests.fuzz.documented import operation_names
from tests.fuzz.generating import HALF, NOISE, AnyCase, for_each, naming_what_exists
from tests.fuzz.service import Service, example_of, served

pytestmark = pytest.mark.slow

AS_DOCUMENTED = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "PROPFIND", "NONSENSE")
MEDIA_TYPES = (
    "application/json",
    "application/json; charset=utf-8",
    "application/json; charset=utf-16",
    "application/xml",
    "multipart/form-data; boundary=b",
    "text/plain",
    "nonsense",
    "",
)
BAD_TOKENS = ("", "Bearer", "Bearer ", "Bearer x.y.z", "Basic dTpw", "Bearer e30.e30.", "\xff")
SENTENCE = b'{"customer_id": "cust-001", "amount": 25, "orders": [{"lines": [1e999, "\\ud800"]}]}'

NAMES = operation_names()
SIGNED = "/v1/webhooks/"
"""Nobody here knows the secrets that these requests are signed with."""
UNREAD = ("GET ", "PUT /v1/imports/", "POST /v1/auth/captcha/", f"POST {SIGNED}")
"""Bodies that are nothing, or bytes that are read later."""

SECURED = "x-roles"

Refused = tuple[dict[str, str], int]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with served(tmp_path_factory.mktemp("fuzz")) as running:
        yield running
        assert running.process.running()
        assert running.process.err == "", "it logged errors"
        assert running.ledger_is_clean()


ROLES = tuple(role.value for role in Role)


UNSENT: tuple[object, ...] = (None, [], {})
TOO_LARGE = {413, 414, 431}


def nothing_wrong_is_accepted(ctx: CheckContext, response: Response, case: AnyCase) -> bool | None:
    """A batch is accepted as such, and says of each of its items what became of it. What is wrong
    about a parameter without a value never arrives: it is not sent. What is too large is not even
    read."""
    if response.status_code in TOO_LARGE:
        return None
    try:
        verdict: bool | None = negative_data_rejection(ctx, response, case)
    except Failure:
        if any(value in UNSENT for value in (case.query or {}).values()):
            return None
        if response.status_code != 207:
            raise
        if not any(item["status"] >= 400 for item in response.json()["items"]):
            raise
        return None
    return verdict


def roles_of(service: Service, name: str) -> list[str | None]:
    """Who may use an operation. `None`: it needs no token."""
    definition: dict[str, Any] = service.operations[name].definition.raw
    return list(definition.get(SECURED, [None]))


def test_the_server_documents_the_operations_that_are_tested(service: Service) -> None:
    assert set(NAMES) == set(service.operations)


@pytest.mark.parametrize("name", NAMES)
def test_requests_that_fit_are_for_those_who_may_ask(service: Service, name: str) -> None:
    cases = service.operations[name].as_strategy(generation_mode=GenerationMode.POSITIVE)
    allowed = roles_of(service, name)

    def ask(drawn: tuple[AnyCase, str | None, Refused]) -> None:
        case, role, (stranger, status) = drawn
        answer = service.send(case, stranger)
        case.validate_response(answer, checks=AS_DOCUMENTED)
        assert allowed == [None] or answer.status_code == status
        answer = service.send(case, service.authorization(role))
        case.validate_response(answer, checks=AS_DOCUMENTED)
        unsigned = SIGNED in name and answer.status_code == 401
        for_themselves = role in {None, Role.CUSTOMER.value}
        assert answer.status_code not in {401, 403} or for_themselves or unsigned, (
            f"{role} may do this"
        )

    askers = (st.sampled_from(allowed), st.sampled_from(refused(service, allowed)))
    for_each(st.tuples(naming_what_exists(cases, service.known), *askers), ask, HALF)


def refused(service: Service, allowed: list[str | None]) -> list[Refused]:
    """What those send who have no right to ask, and the status that they get."""
    strangers = [service.authorization(role) for role in ROLES if role not in allowed]
    nobodies = [{}, *({"Authorization": token} for token in BAD_TOKENS)]
    return [(headers, 403) for headers in strangers] + [(headers, 401) for headers in nobodies]


@pytest.mark.parametrize("name", NAMES)
def test_requests_that_do_not_fit_are_refused(service: Service, name: str) -> None:
    cases = service.operations[name].as_strategy(generation_mode=GenerationMode.NEGATIVE)
    headers = service.authorization(roles_of(service, name)[0])

    def ask(case: AnyCase) -> None:
        answer = service.send(case, headers)
        case.validate_response(answer, checks=[*AS_DOCUMENTED, nothing_wrong_is_accepted])

    for_each(cases, ask, HALF)


def malformed() -> st.SearchStrategy[bytes]:
    """Bytes that are hardly ever JSON: noise, and JSON cut off, damaged or nested too deep."""
    cut = st.integers(0, len(SENTENCE) - 1)
    deep = st.integers(1, 20_000).map(lambda depth: b'{"orders":' + b"[" * depth)
    return st.one_of(
        st.binary(max_size=200),
        cut.map(lambda end: SENTENCE[:end]),
        st.tuples(cut, st.binary(min_size=1, max_size=4)).map(
            lambda drawn: SENTENCE[: drawn[0]] + drawn[1] + SENTENCE[drawn[0] :]
        ),
        deep,
        st.just(b"\xef\xbb\xbf" + SENTENCE),
    )


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(UNREAD)])
def test_bodies_that_are_no_json(service: Service, name: str) -> None:
    operation = service.operations[name]
    headers = service.authorization(roles_of(service, name)[0]) | {"Idempotency-Key": "fuzz"}

    def ask(drawn: tuple[bytes, str]) -> None:
        body, media_type = drawn
        sent = headers | {"Content-Type": media_type}
        answer = service.send_raw(operation.method.upper(), example_of(operation.path), body, sent)
        operation.validate_response(answer)
        assert 400 <= answer.status_code < 500 or not body

    for_each(st.tuples(malformed(), st.sampled_from(MEDIA_TYPES)), ask, NOISE)


def test_methods_that_are_not_documented_are_refused(service: Service) -> None:
    for path in {example_of(operation.path) for operation in service.operations.values()}:
        documented = service.methods_at(path)
        for method in sorted(set(METHODS) - documented):
            answer = service.send_raw(method, path, b"", service.authorization("owner"))
            assert answer.status_code == 405, (method, path)
            assert set(answer.headers["Allow"].split(", ")) - {"HEAD"} == documented
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.json()["code"] == "method_not_allowed"
