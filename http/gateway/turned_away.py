"""What is written to a client that cannot be served now, made once and sent as it is."""

from functools import cache
from http import HTTPStatus
from math import ceil
from typing import Final

from gateway.problems import OVERLOADED_DETAIL, PROBLEM_JSON, ProblemDocument
from gateway.routes import encode_json

RETRY_AFTER_SPREAD: Final = 3
"""Clients are told to come back after the time, or one or two times more: not all at once."""


@cache
def turned_away(retry_after_s: int, *, lasting: bool) -> bytes:
    """The answer to a request that finds no room."""
    return _answer("overloaded", OVERLOADED_DETAIL, retry_after_s, lasting=lasting)


@cache
def overcrowded() -> bytes:
    """The answer to a connection over the bound, which ends with it."""
    detail = "too many connections are open"
    return _answer("too_many_connections", detail, 1, lasting=False)


def _answer(code: str, detail: str, retry_after_s: int, *, lasting: bool) -> bytes:
    """It has no trace id: a refused request leaves nothing to be found."""
    status = HTTPStatus.SERVICE_UNAVAILABLE
    document = ProblemDocument(
        type="about:blank",
        title=status.phrase,
        status=status.value,
        detail=detail,
        code=code,
        trace_id=None,
    )
    body = encode_json(document)
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"content-type: {PROBLEM_JSON}",
        f"content-length: {len(body)}",
        f"retry-after: {retry_after_s}",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
    ]
    if not lasting:
        lines.append("connection: close")
    return "\r\n".join([*lines, "", ""]).encode() + body


def spread(retry_after_s: float | None, number: int) -> int:
    """Whole seconds after which the client that is turned away as the `number`th comes back."""
    least = max(1, ceil(retry_after_s or 1.0))
    return least * (1 + number % RETRY_AFTER_SPREAD)
