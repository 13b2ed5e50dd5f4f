"""What a connection is told when there is no request that could be answered."""

from functools import cache
from http import HTTPStatus
from typing import Final

import attrs

from gateway.problems import PROBLEM_JSON, ProblemDocument
from gateway.routes import encode_json

DETAILS: Final = {
    400: ("malformed_request", "this is not a request, or could be read in two ways"),
    408: ("head_too_slow", "the head of the request did not arrive in time"),
    431: ("head_too_large", "the head of the request is too large"),
    501: ("not_implemented", "the server does not know this transfer encoding"),
    503: ("too_many_connections", "too many connections are open"),
}


@attrs.frozen
class Refusal:
    """Headers of an answer, and its body."""

    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@cache
def refusal(status: int) -> Refusal:
    """The problem document for a status, without a trace: no request came so far."""
    code, detail = DETAILS.get(status, DETAILS[400])
    document = ProblemDocument(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        trace_id=None,
    )
    body = encode_json(document)
    headers = (
        (b"content-type", PROBLEM_JSON.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    )
    return Refusal(headers, body)


def overcrowded() -> bytes:
    """The whole answer to a connection over the bound."""
    said = refusal(503)
    headers = (*said.headers, (b"connection", b"close"), (b"retry-after", b"1"))
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return b"HTTP/1.1 503 Service Unavailable\r\n" + lines + b"\r\n" + said.body
