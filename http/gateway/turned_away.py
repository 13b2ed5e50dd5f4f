"""What is written to a client that cannot be served now, made once and sent as it is."""

from functools import cache
from math import ceil
from typing import Final

from gateway.problems import PROBLEM_JSON, overloaded
from gateway.routes import encode_json

RETRY_AFTER_SPREAD: Final = 3
"""Clients are told to come back after the time, or one or two times more: not all at once."""


@cache
def turned_away(retry_after_s: int, *, lasting: bool) -> bytes:
    """The whole answer to a request that finds no room.

    It has no trace id: a refused request leaves nothing to be found.
    """
    problem = overloaded()
    document = problem.document(None, None)
    body = encode_json(document)
    lines = [
        f"HTTP/1.1 {problem.status} {document.title}",
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
