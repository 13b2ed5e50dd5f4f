"""Hostile input: the right status, a problem document, nothing changed, never a 500."""

import base64
import json
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

from actors.auth.messages import Role
from tests.integration.gateway.helpers import (
    CUSTOMER,
    MERCHANT,
    RIVAL,
    Api,
    new_key,
    outcome_of,
    patient_settings,
    running_tree,
)

pytestmark = pytest.mark.slow

EARN = "/v1/points/earn"
BALANCE = f"/v1/customers/{CUSTOMER}/balance"
LEDGER = f"/v1/customers/{CUSTOMER}/ledger"
JSON = {"Content-Type": "application/json"}
GOOD = {"customer_id": CUSTOMER, "amount": 10, "reason": "purchase"}
ORDER = {
    "order_id": "order-1",
    "customer_id": CUSTOMER,
    "ordered_at": "2026-05-01T12:00:00Z",
    "currency": "EUR",
    "total_minor": 1_000,
}
PRODUCT = {
    "sku": "ROSES-12",
    "name": "Roses",
    "kind": "package",
    "price_minor": 100,
    "currency": "EUR",
}

MALFORMED = (400, "malformed_json")
INVALID = (422, "validation_failed")
UNKNOWN_FIELD = (422, "unknown_field")
NOT_FOUND = (404, "not_found")


@attrs.frozen(kw_only=True)
class Case:
    """A request, and the status and code it deserves."""

    name: str
    expected: tuple[int, str]
    method: str = "POST"
    path: str = EARN
    json: Any = None
    content: bytes | None = None
    headers: dict[str, str] = attrs.field(factory=dict)
    key: str | None = ""
    role: Role = Role.OWNER
    template: str | None = None


def earn(name: str, expected: tuple[int, str], **fields: Any) -> Case:
    return Case(name=name, expected=expected, json=GOOD | fields)


def raw(name: str, expected: tuple[int, str], content: bytes, path: str = EARN) -> Case:
    return Case(name=name, expected=expected, content=content, headers=JSON, path=path)


def get(name: str, expected: tuple[int, str], path: str, template: str | None = None) -> Case:
    return Case(name=name, expected=expected, method="GET", path=path, key=None, template=template)


BODIES = [
    raw("not JSON", MALFORMED, b"amount=10"),
    raw("cut off", MALFORMED, b'{"customer_id":"ada","amount":10'),
    raw("nothing at all", MALFORMED, b""),
    raw("trailing text", MALFORMED, b'{"customer_id":"ada","amount":1,"reason":"x"} x'),
    raw("NaN", MALFORMED, b'{"customer_id":"ada","amount":NaN,"reason":"x"}'),
    raw("Infinity", MALFORMED, b'{"customer_id":"ada","amount":-Infinity,"reason":"x"}'),
    raw("byte order mark", MALFORMED, b'\xef\xbb\xbf{"customer_id":"ada"}'),
    raw("not UTF-8", MALFORMED, b'{"customer_id":"ada","amount":1,"reason":"\xff\xfe"}'),
    raw("lone surrogate", MALFORMED, b'{"customer_id":"ada","amount":1,"reason":"\\ud800"}'),
    raw("an array", INVALID, b"[]"),
    raw("null", INVALID, b"null"),
    raw("nested a million deep", (422, "validation_failed"), b"[" * 200_000),
    raw(
        "a field nested a million deep",
        UNKNOWN_FIELD,
        b'{"customer_id":"ada","x":' + b"[" * 200_000,
    ),
    earn("amount as text", INVALID, amount="10"),
    earn("amount as a float", INVALID, amount=10.5),
    earn("amount as a whole float", INVALID, amount=10.0),
    earn("amount as a boolean", INVALID, amount=True),
    earn("amount null", INVALID, amount=None),
    earn("amount negative", INVALID, amount=-1),
    earn("amount zero", INVALID, amount=0),
    earn("amount over the bound", INVALID, amount=10**12 + 1),
    earn("amount beyond 64 bits", INVALID, amount=2**64),
    raw(
        "amount of 5,000 digits",
        INVALID,
        b'{"customer_id":"ada","reason":"x","amount":' + b"9" * 5_000 + b"}",
    ),
    raw("amount out of all range", INVALID, b'{"customer_id":"ada","amount":1e999}'),
    earn("unknown field", UNKNOWN_FIELD, colour="red"),
    earn("somebody's merchant_id", UNKNOWN_FIELD, merchant_id=RIVAL),
    earn("a role", UNKNOWN_FIELD, role="platform"),
    earn("a balance", UNKNOWN_FIELD, balance=10**9),
    earn("verified", UNKNOWN_FIELD, verified=True),
    earn("customer of nobody", (404, "customer_unknown"), customer_id="nobody"),
    earn("customer_id empty", INVALID, customer_id=""),
    earn("customer_id too long", INVALID, customer_id="a" * 65),
    earn("customer_id with a newline at its end", INVALID, customer_id="ada\n"),
    earn("customer_id a path", INVALID, customer_id="../ada"),
    earn("customer_id SQL", INVALID, customer_id="ada' OR '1'='1"),
    earn("customer_id with NUL", INVALID, customer_id="ada\0"),
    earn("customer_id an object", INVALID, customer_id={"$ne": None}),
    earn("reason empty", INVALID, reason=""),
    earn("reason too long", INVALID, reason="x" * 201),
    earn("reason with NUL", INVALID, reason="a\0b"),
    earn("reason forging a log line", INVALID, reason="a\nb"),
    earn("time without a zone", INVALID, effective_at="2026-01-01T00:00:00"),
    earn("time as a number", INVALID, effective_at=1_767_225_600),
    earn("thirteenth month", INVALID, effective_at="2026-13-01T00:00:00Z"),
    earn("time before the first year", INVALID, effective_at="0001-01-01T00:00:00+23:59"),
    earn("time after the last year", INVALID, expires_at="9999-12-31T23:59:59-23:59"),
    Case(name="no body field", expected=INVALID, json={"customer_id": CUSTOMER}),
    Case(
        name="adjust by zero",
        expected=INVALID,
        path="/v1/points/adjust",
        json=GOOD | {"amount": 0},
    ),
    Case(name="void with a body", expected=UNKNOWN_FIELD, path="/v1/points/holds/h1/void",
         template="/v1/points/holds/{hold_id}/void", json={"amount": 1}),
    Case(name="capture of no hold", expected=(404, "hold_unknown"), json={},
         path="/v1/points/holds/h1/capture", template="/v1/points/holds/{hold_id}/capture"),
    Case(name="hold that has expired", expected=(422, "time_too_early"), path="/v1/points/holds",
         json={"customer_id": CUSTOMER, "amount": 1, "expires_at": "2020-01-01T00:00:00Z"}),
    Case(name="batch of nothing", expected=INVALID, path="/v1/points/batch", json={"items": []},
         key=None),
    Case(name="batch of 1,001", expected=INVALID, path="/v1/points/batch",
         json={"items": [{}] * 1_001}, key=None),
    Case(name="batch that is a list", expected=INVALID, path="/v1/points/batch", json=[], key=None),
]  # fmt: skip

MEDIA = [
    Case(name="no content type", expected=(415, "unsupported_media_type"),
         content=b'{"customer_id":"ada","amount":1,"reason":"x"}'),
    Case(name="a form", expected=(415, "unsupported_media_type"), content=b"amount=1",
         headers={"Content-Type": "application/x-www-form-urlencoded"}),
    Case(name="another charset", expected=(415, "unsupported_media_type"), content=b"{}",
         headers={"Content-Type": "application/json; charset=utf-16"}),
    Case(name="something that only starts like JSON", expected=(415, "unsupported_media_type"),
         content=b"{}", headers={"Content-Type": "application/jsonp"}),
]  # fmt: skip

KEYS = [
    Case(name="key missing", expected=(400, "idempotency_key_required"), json=GOOD, key=None),
    Case(name="key empty", expected=(400, "idempotency_key_invalid"), json=GOOD, key=None,
         headers={"Idempotency-Key": ""}),
    Case(name="key too long", expected=(400, "idempotency_key_invalid"), json=GOOD, key="k" * 256),
    Case(name="key with a blank", expected=(400, "idempotency_key_invalid"), json=GOOD, key="a b"),
    Case(name="key used before", expected=(422, "idempotency_key_reused"), json=GOOD, key="used"),
]  # fmt: skip

PATHS = [
    get("no such path", NOT_FOUND, "/v1/nothing"),
    get("trailing slash", NOT_FOUND, "/v1/merchant/"),
    get("doubled slash", NOT_FOUND, "//v1/merchant"),
    get("path that climbs", NOT_FOUND, "/v1/customers/%2e%2e%2fadmin"),
    get("path with NUL", NOT_FOUND, "/v1/customers/a%00b", "/v1/customers/{customer_id}"),
    get("path with a newline", NOT_FOUND, "/v1/customers/a%0a", "/v1/customers/{customer_id}"),
    get("path not UTF-8", NOT_FOUND, "/v1/customers/%ff", "/v1/customers/{customer_id}"),
    get("customer of nobody", NOT_FOUND, "/v1/customers/nobody", "/v1/customers/{customer_id}"),
    get("order of nobody", NOT_FOUND, "/v1/orders/nobody", "/v1/orders/{order_id}"),
    get("product of nobody", NOT_FOUND, "/v1/products/NOTHING", "/v1/products/{sku}"),
    get(
        "balance of nobody",
        (404, "customer_unknown"),
        "/v1/customers/nobody/balance",
        "/v1/customers/{customer_id}/balance",
    ),
    Case(name="wrong method", expected=(405, "method_not_allowed"), method="DELETE", json=GOOD),
    Case(name="made-up method", expected=(405, "method_not_allowed"), method="BREW"),
    Case(name="TRACE", expected=(405, "method_not_allowed"), method="TRACE"),
]

QUERIES = [
    get("limit as text", INVALID, f"{LEDGER}?limit=many", "/v1/customers/{customer_id}/ledger"),
    get("limit zero", INVALID, f"{LEDGER}?limit=0", "/v1/customers/{customer_id}/ledger"),
    get("limit huge", INVALID, f"{LEDGER}?limit=201", "/v1/customers/{customer_id}/ledger"),
    get("limit twice", INVALID, f"{LEDGER}?limit=1&limit=2", "/v1/customers/{customer_id}/ledger"),
    get("cursor with quotes", INVALID, f"{LEDGER}?cursor='", "/v1/customers/{customer_id}/ledger"),
    get("parameter nobody knows", UNKNOWN_FIELD, "/v1/merchant?debug=1"),
    get(
        "query not UTF-8",
        (400, "malformed_query"),
        "/v1/orders?customer_id=%ff",
        "/v1/orders",
    ),
    get("too many parameters", (400, "malformed_query"), "/v1/orders?" + "a=1&" * 30, "/v1/orders"),
    get(
        "time without a zone",
        INVALID,
        f"{BALANCE}?at=2026-01-01T00:00:00",
        "/v1/customers/{customer_id}/balance",
    ),
    get(
        "time out of range",
        INVALID,
        f"{BALANCE}?at=0001-01-01T00:00:00%2B23:59",
        "/v1/customers/{customer_id}/balance",
    ),
    get(
        "axis nobody knows",
        INVALID,
        f"{BALANCE}?axis=sideways",
        "/v1/customers/{customer_id}/balance",
    ),
    get("currency in small letters", INVALID, "/v1/points/earn-rule?currency=eur",
        "/v1/points/earn-rule"),
]  # fmt: skip


LISTS = {
    "customers": "/v1/customers",
    "orders": "/v1/orders",
    "products": "/v1/products",
    "campaigns": "/v1/campaigns",
    "ledger": LEDGER,
    "lots": f"/v1/customers/{CUSTOMER}/lots",
}
FORGED: tuple[Any, ...] = (
    None,
    {"a": 1},
    [],
    [[1]],
    [2**63],
    [10**30],
    [-1],
    [True],
    [1.5],
    ["a", "b", "c"],
    ["9999-12-31T23:59:59", 1],
    ["0001-01-01T00:00:00+14:00", "a"],
    ["0001-01-01T00:00:00+14:00", 1],
    ["2026-01-01T00:00:00Z", 2**63],
    ["2026-01-01T00:00:00Z", -1],
    ["2026-01-01T00:00:00Z", "a\0"],
    ["a\0"],
)


def forged_cursor(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


FORGED_CURSORS = [
    get(f"{name}: forged cursor {value}", (422, "invalid_cursor"),
        f"{path}?cursor={forged_cursor(value)}")
    for name, path in LISTS.items()
    for value in FORGED
] + [
    get(f"{name}: cursor of no meaning", (422, "invalid_cursor"), f"{path}?cursor={text}")
    for name, path in LISTS.items()
    for text in ("garbage", "AAAA", "A", "")
]  # fmt: skip


def put(name: str, path: str, expected: tuple[int, str], json: Any) -> Case:
    return Case(name=name, expected=expected, method="PUT", path=path, json=json, key=None)


def products(name: str, expected: tuple[int, str], **fields: Any) -> Case:
    return put(name, "/v1/products", expected, {"products": [PRODUCT | fields]})


def order(name: str, expected: tuple[int, str], **fields: Any) -> Case:
    return Case(name=name, expected=expected, path="/v1/orders", json=ORDER | fields, key=None)


OTHERS = [
    order("total negative", INVALID, total_minor=-1),
    order("total as a float", INVALID, total_minor=10.5),
    order("total huge", INVALID, total_minor=10**12 + 1),
    order("time far in the future", (422, "time_in_future"), ordered_at="9999-12-31T23:59:59Z"),
    order("time far in the past", (422, "time_too_early"), ordered_at="0001-01-01T00:00:00Z"),
    order("currency unknown in form", INVALID, currency="EURO"),
    order("items huge", INVALID, items=10**7),
    order("line without a quantity", INVALID, lines=[{"sku": "A", "unit_price_minor": 1}]),
    order("lines without end", INVALID,
          lines=[{"sku": "A", "quantity": 1, "unit_price_minor": 1}] * 201),
    Case(name="batch of 501 orders", expected=INVALID, path="/v1/orders/batch", key=None,
         json={"orders": [ORDER] * 501}),
    products("price zero", INVALID, price_minor=0),
    products("price as a float", INVALID, price_minor=9.99),
    products("price huge", INVALID, price_minor=10**9 + 1),
    products("SKU in small letters", INVALID, sku="roses"),
    products("SKU with a newline", INVALID, sku="ROSES\n"),
    products("kind unknown", INVALID, kind="weapon"),
    put("a SKU twice", "/v1/products", (422, "duplicate_sku"), {"products": [PRODUCT, PRODUCT]}),
    put("rule dividing by zero", "/v1/points/earn-rule", INVALID,
        {"currency": "EUR", "points": 1, "per_amount_minor": 0}),
    Case(name="customer id taken", expected=(409, "customer_exists"), path="/v1/customers",
         json={"customer_id": CUSTOMER}, key=None),
    Case(name="display name with controls", expected=INVALID, path="/v1/customers",
         json={"display_name": "\x1b[31m"}, key=None),
]  # fmt: skip

TABLES = {"bodies": BODIES, "media": MEDIA, "keys": KEYS, "paths": PATHS, "queries": QUERIES,
          "cursors": FORGED_CURSORS,
          "others": OTHERS}  # fmt: skip


async def ask(api: Api, case: Case, token: str) -> httpx.Response:
    return await api.ask(
        case.method,
        case.path,
        token=token,
        key=new_key() if case.key == "" else case.key,
        headers=case.headers,
        json=case.json,
        content=case.content,
    )


async def everything(api: Api) -> list[Any]:
    """All that hostile input could have changed."""
    paths = ["/v1/points/verify", LEDGER, BALANCE, "/v1/customers", "/v1/orders", "/v1/products",
             "/v1/points/earn-rule?currency=EUR", "/v1/merchant"]  # fmt: skip
    state = [(await api.ask("GET", path)).json() for path in paths]
    state[2].pop("as_of")
    return state


@pytest.mark.parametrize("table", TABLES)
async def test_hostile_input_is_refused_and_changes_nothing(tmp_path: Path, table: str) -> None:
    async with running_tree(tmp_path) as api:
        assert (await api.earn(25, key="used")).status_code == 200
        documented = (await api.client.get("/v1/openapi.json")).json()["paths"]
        before = await everything(api)
        token = api.token()
        outcomes: dict[str, tuple[int, str | None]] = {}
        for case in TABLES[table]:
            answer = await ask(api, case, token)
            outcomes[case.name] = outcome_of(answer)
            assert answer.headers["x-request-id"] == answer.json()["trace_id"]
            operation = documented.get(case.template or case.path, {}).get(case.method.lower())
            if operation is not None:
                assert str(answer.status_code) in operation["responses"], case.name
        expected = {case.name: case.expected for case in TABLES[table]}
        wrong = {name: (outcomes[name], expected[name]) for name in expected
                 if outcomes[name] != expected[name]}  # fmt: skip
        assert wrong == {}
        assert await everything(api) == before


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_over_the_limit_is_refused_however_it_is_sent(
    tmp_path: Path, declared: bool
) -> None:
    settings = patient_settings(body_max_bytes=1_000, batch_body_max_bytes=2_000)
    async with running_tree(tmp_path, settings) as api:
        head = (
            b"POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nIdempotency-Key: k\r\n"
            b"Content-Type: application/json\r\nAuthorization: Bearer "
            + api.token().encode()
            + b"\r\n"
        )
        answers = []
        for path, length in ((EARN, 1_001), (EARN, 50_000), ("/v1/points/batch", 2_001)):
            blanks = b" " * length
            body = (
                b"Content-Length: %d\r\n\r\n%b" % (length, blanks)
                if declared
                else b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (length, blanks)
            )
            answers.append(await api.raw(head % path.encode() + body))
        for answer in answers:
            assert answer.startswith(b"HTTP/1.1 413 "), answer
            assert b'"code":"body_too_large"' in answer


async def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    async with running_tree(tmp_path, patient_settings(body_timeout_s=0.1)) as api:
        answer = await api.raw(
            b"POST /v1/points/earn HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Authorization: Bearer " + api.token().encode() + b"\r\n"
            b"Content-Type: application/json\r\nIdempotency-Key: k\r\nContent-Length: 10\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"body_too_slow" in answer


SMUGGLED = {
    "length and chunks": b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "a length with a sign": b"Content-Length: +2\r\n\r\n{}",
    "an unknown coding": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "two tokens": b"Authorization: Bearer x\r\nContent-Length: 2\r\n\r\n{}",
    "two keys": b"Idempotency-Key: other\r\nContent-Length: 2\r\n\r\n{}",
    "NUL in a header": b"X-Bad: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
    "a name with a blank": b"X Bad: a\r\nContent-Length: 2\r\n\r\n{}",
}


async def test_requests_that_could_be_read_in_two_ways_are_refused(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        head = (
            b"POST /v1/points/earn HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nIdempotency-Key: k\r\n"
            b"Authorization: Bearer " + api.token().encode() + b"\r\n"
        )
        statuses = {}
        for name, rest in SMUGGLED.items():
            answer = await api.raw(head + rest)
            statuses[name] = answer[: len(b"HTTP/1.1 400")]
        assert set(statuses.values()) <= {b"HTTP/1.1 400", b"HTTP/1.1 501"}, statuses
        assert await api.posted() == 0


NOT_HTTP = (
    b"\x16\x03\x01\x02\x00\x01\n\n",
    b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
)


async def test_lines_that_are_not_http_are_refused(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        for line in NOT_HTTP:
            answer = await api.raw(line)
            assert answer.startswith(b"HTTP/1.1 4"), (line, answer)
        assert (await api.client.get("/health/live")).status_code == 200


async def test_another_merchant_s_objects_do_not_exist(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        receipt = (await api.earn(50)).json()
        await api.ask("POST", "/v1/orders", json=ORDER)
        await api.ask("PUT", "/v1/products", json={"products": [PRODUCT]})
        hold = {"customer_id": CUSTOMER, "amount": 5, "expires_at": "2999-01-01T00:00:00Z"}
        hold_id = (await api.ask("POST", "/v1/points/holds", json=hold, key=new_key())).json()[
            "hold_id"
        ]
        before = await everything(api)
        rival = api.token(merchant_id=RIVAL)
        requests: list[tuple[str, str, Any]] = [
            ("GET", f"/v1/customers/{CUSTOMER}", None),
            ("GET", f"/v1/customers/{CUSTOMER}/balance", None),
            ("GET", f"/v1/customers/{CUSTOMER}/balance?at=2999-01-01T00:00:00Z", None),
            ("GET", f"/v1/customers/{CUSTOMER}/ledger", None),
            ("GET", f"/v1/customers/{CUSTOMER}/lots", None),
            ("GET", f"/v1/orders/{ORDER['order_id']}", None),
            ("GET", f"/v1/products/{PRODUCT['sku']}", None),
            ("POST", "/v1/points/earn", GOOD),
            ("POST", "/v1/points/redeem", GOOD),
            ("POST", "/v1/points/adjust", GOOD),
            ("POST", "/v1/points/holds", hold),
            ("POST", f"/v1/points/holds/{hold_id}/capture", {}),
            ("POST", f"/v1/points/holds/{hold_id}/void", {}),
            ("POST", "/v1/points/reverse", {"transaction_id": receipt["transaction_id"]}),
        ]
        outcomes = {}
        for method, path, body in requests:
            key = new_key() if method == "POST" else None
            answer = await api.ask(method, path, json=body, key=key, token=rival)
            assert MERCHANT not in answer.text
            outcomes[f"{method} {path}"] = answer.status_code
        assert outcomes == dict.fromkeys(outcomes, 404)
        assert (await api.ask("GET", "/v1/orders", token=rival)).json()["items"] == []
        assert await everything(api) == before


@pytest.mark.parametrize("target", [b"http://[", b"://[::1", b"http://[::1/v1/merchant"])
async def test_a_target_that_is_no_url_names_nothing(tmp_path: Path, target: bytes) -> None:
    async with running_tree(tmp_path) as api:
        answer = await api.raw(
            b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert b'"code":"not_found"' in answer


async def test_a_merchant_that_is_not_registered_gets_no_products_and_no_rule(
    tmp_path: Path,
) -> None:
    rule = {"currency": "EUR", "points": 7, "per_amount_minor": 100}
    async with running_tree(tmp_path) as api:
        ghost = api.token(merchant_id="ghost")
        for path, body in (
            ("/v1/products", {"products": [PRODUCT]}),
            ("/v1/points/earn-rule", rule),
        ):
            answer = await api.ask("PUT", path, token=ghost, json=body)
            assert outcome_of(answer) == (404, "merchant_unknown")
        verified = await api.ask("GET", "/v1/points/verify", token=ghost)
        assert verified.status_code == 404
        registration = {"merchant_id": "ghost", "name": "Ghost", "currency": "EUR"}
        path = "/v1/admin/merchants"
        await api.ask("POST", path, role=Role.PLATFORM, json=registration)
        listed = await api.ask("GET", "/v1/products", token=ghost)
        assert listed.json()["items"] == []
        in_force = await api.ask("GET", "/v1/points/earn-rule", token=ghost)
        assert in_force.json()["version"] == 0


async def test_a_value_of_the_wrong_form_is_refused_in_words(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        for path, body, field in (
            (EARN, GOOD | {"customer_id": "a/b"}, "customer_id"),
            (EARN, GOOD | {"reason": "a\0b"}, "reason"),
            ("/v1/orders", ORDER | {"currency": "eur"}, "currency"),
        ):
            answer = await api.ask("POST", path, json=body, key=new_key())
            detail = answer.json()["detail"]
            assert detail.startswith("Expected `str` ")
            assert detail.endswith(f" - at `$.{field}`")
            assert "regex" not in detail
        answer = await api.ask("GET", "/v1/orders?cursor=!")
        assert "regex" not in answer.json()["detail"]
