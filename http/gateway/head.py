"""The head of a request: the few headers that matter, read in one pass over the raw list."""

import re
from typing import Final

import msgspec

from gateway.problems import Problem

RawHeaders = list[tuple[bytes, bytes]]

FIELDS: Final = {
    b"authorization": "authorization",
    b"content-type": "content_type",
    b"content-length": "content_length",
    b"transfer-encoding": "transfer_encoding",
    b"idempotency-key": "idempotency_key",
    b"x-request-id": "request_id",
    b"traceparent": "traceparent",
    b"content-encoding": "content_encoding",
    b"origin": "origin",
    b"access-control-request-method": "requested_method",
}

REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
TRACEPARENT: Final = re.compile(rb"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
NO_TRACE: Final = b"0" * 32
NO_SPAN: Final = b"0" * 16

HEADERS_MAX: Final = 100
"""Headers of one request."""


class Head(msgspec.Struct, gc=False):
    """The raw values. `repeated` names a header that came twice and must not."""

    authorization: bytes | None = None
    content_type: bytes | None = None
    content_length: bytes | None = None
    transfer_encoding: bytes | None = None
    idempotency_key: bytes | None = None
    request_id: bytes | None = None
    traceparent: bytes | None = None
    content_encoding: bytes | None = None
    origin: bytes | None = None
    requested_method: bytes | None = None
    repeated: str | None = None

    def check(self) -> None:
        """Raises `Problem` for heads that two readers could understand differently."""
        if self.repeated is not None:
            raise Problem(400, "repeated_header", f"{self.repeated} is given more than once")
        if self.transfer_encoding is not None and self.content_length is not None:
            detail = "Content-Length and Transfer-Encoding exclude each other"
            raise Problem(400, "ambiguous_length", detail)

    def trace(self) -> str | None:
        """The caller's trace: a valid `traceparent`, else a valid request id."""
        if self.traceparent is not None:
            match = TRACEPARENT.fullmatch(self.traceparent)
            if match is not None and match[1] != NO_TRACE and match[2] != NO_SPAN:
                return "00-{}-{}-{}".format(*(part.decode() for part in match.groups()))
        return self.valid_request_id()

    def valid_request_id(self) -> str | None:
        """The caller's own name for the request, as it goes back in `X-Request-Id`."""
        if self.request_id is not None and REQUEST_ID.fullmatch(self.request_id):
            return self.request_id.decode()
        return None


def read_head(headers: RawHeaders) -> Head:
    """Read the headers that matter. Hypercorn gives the names in lower case."""
    head = Head()
    for name, value in headers:
        field = FIELDS.get(name)
        if field is not None:
            if getattr(head, field) is not None:
                head.repeated = name.decode()
            setattr(head, field, value)
    return head
