"""What the log masks, what it leaves alone, and how long it takes over text made to hurt."""

from typing import Any

import pytest

from runtime.redaction import ITEMS_MAX, Sanitizer, masked
from tests.processor import measured

JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
LONG = 40_000
AT_ONCE_S = 1.0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://app:hunter2@db:5432/loyalnest", "postgresql://app:***@db:5432/loyalnest"),
        ("redis://:hunter2@127.0.0.1:6379/0 is away", "redis://:***@127.0.0.1:6379/0 is away"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer ***"),
        ("basic dXNlcjpwYXNz", "basic ***"),
        (f"got {JWT}", "got ***token***"),
        ("password=hunter2&next=1", "password=***&next=1"),
        ('{"api_key": "k-123", "a": 1}', '{"api_key": "***", "a": 1}'),
        ("db_secret: hunter2", "db_secret: ***"),
        ("Key (email)=(ada@example.com) exists", "Key (email)=(***e-mail***) exists"),
        ("/v1/x/ada%40example.com/y", "/v1/x/***e-mail***/y"),
        ("call +49 171 2345678 now", "call ***phone*** now"),
        ("call 0171/2345678 now", "call ***phone*** now"),
        ("call (555) 010-9999 now", "call ***phone*** now"),
        ("00491712345678", "***phone***"),
        (
            "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n-----END PRIVATE KEY-----\nrest",
            "***key***\nrest",
        ),
        ("-----BEGIN EC PRIVATE KEY-----\ncut off", "***key***"),
    ],
)
def test_what_is_secret_or_personal_is_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "req_01M8A9QKWX8AJ02TH67NC30K5M",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "2026-03-01T12:00:00.123456Z",
        "2026-03-01 12:00:00",
        "127.0.0.1:8080",
        "http://127.0.0.1:8080/v1/points/earn",
        "SELECT balance FROM points_accounts WHERE merchant_id = $1",
        "took 12345678 rows in 0.123 s",
        "version 1.26.0.1",
        "sqlite:///data/loyalnest.db",
        "loyalnest/domains/points: reached_max_restart_intensity",
    ],
)
def test_what_operators_need_is_left_alone(text: str) -> None:
    assert masked(text) == text


def cleaned(*, console: bool = False, **event: Any) -> dict[str, Any]:
    return dict(Sanitizer(console=console)(None, "info", event))


def test_fields_that_are_named_for_secrets_are_masked_whatever_is_in_them() -> None:
    event = cleaned(password="short", owner_token=7, phone=None, event="it", api_key=["a"], n=True)
    assert event == {
        "password": "***",
        "owner_token": "***",
        "phone": None,
        "event": "it",
        "api_key": "***",
        "n": True,
    }


def test_secrets_are_found_inside_collections_and_objects() -> None:
    class Odd:
        def __repr__(self) -> str:
            return "<Odd ada@example.com>"

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    event = cleaned(
        a=[{"token": "x", "b": ("ada@example.com",)}], odd=Odd(), broken=Broken(), raw=b"pwd=x1"
    )
    assert event["a"] == [{"token": "***", "b": ["***e-mail***"]}]
    assert event["odd"] == "<Odd ***e-mail***>"
    assert event["broken"] == "<Broken without a text>"
    assert "x1" not in event["raw"]


def test_collections_without_an_end_in_sight_are_cut() -> None:
    deep: list[Any] = []
    deep.append(deep)
    assert cleaned(deep=deep)
    assert len(cleaned(many=range(1), items=list(range(1_000)))["items"]) == ITEMS_MAX


def test_no_text_forges_a_line_or_moves_the_cursor() -> None:
    text = "x\n2026 [info] forged\r\x1b[2J\x9b1m\u202e\u2028"
    shown = cleaned(console=True, event=text)["event"]
    assert shown == "x\\n2026 [info] forged\\r\\x1b[2J\\x9b1m\\u202e\\u2028"
    in_json = cleaned(event=text)["event"]
    assert "\x9b" not in in_json
    assert "\u2028" not in in_json


def test_a_traceback_keeps_its_lines_on_a_terminal_and_nothing_else() -> None:
    shown = cleaned(console=True, exception="Traceback\n\tboom\x1b[31m\r")["exception"]
    assert shown == "Traceback\n\tboom\\x1b[31m\\r"


@pytest.mark.parametrize(
    "piece",
    [
        *("a", "a@", "a.@", "://a:", "eyJ", "eyJaaaa.", "secret", "secret=", "secret ", "%40"),
        *("1 ", "00", "+1", "+1()", "(000) ", "000 ", "-----BEGIN ", "Bearer ", "token:", "-0 "),
    ],
)
def test_no_text_takes_long(piece: str) -> None:
    text = piece * (LONG // len(piece))
    with measured() as spent:
        masked(text)
    assert spent.s < AT_ONCE_S
