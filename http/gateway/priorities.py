"""How important a request is, told from the first bytes of it."""

import re
from collections.abc import Iterable
from enum import Enum
from typing import Final

import attrs

from gateway.routes import Route, priority_of_method
from runtime.policies import Priority

HEAD_END: Final = b"\r\n\r\n"

REQUEST_LINE: Final = re.compile(
    rb"([A-Z]{1,16}) (/[^ \r\n?]{0,1024})[^ \r\n]{0,8192} HTTP/1\.1\r\n"
)

SIGNIFICANT: Final = re.compile(
    rb"\n(content-length|transfer-encoding|connection|upgrade|expect)([ \t]*):[ \t]*([^\r\n]*)",
    re.IGNORECASE,
)

LENGTH: Final = re.compile(rb"[0-9]{1,9}")


class Arrived(Enum):
    """What of a request is there: a PART, the WHOLE of exactly one, or something of which that
    cannot be told by a short look."""

    PART = "part"
    WHOLE = "whole"
    UNCLEAR = "unclear"


@attrs.frozen
class Glance:
    """The result of a short look. A `lasting` connection may be used for the next request."""

    arrived: Arrived
    method: bytes = b""
    path: bytes = b""
    lasting: bool = True


PART: Final = Glance(Arrived.PART)
UNCLEAR: Final = Glance(Arrived.UNCLEAR)


def glance(data: bytes) -> Glance:
    """Look at the first bytes of a request without reading it.

    Only for what is plain is the answer WHOLE: whoever parses the request later cannot find
    another end of it. Everything else is left to that parser.
    """
    head_end = data.find(HEAD_END)
    if head_end < 0:
        return PART if data[:1].isalpha() and b"\n\n" not in data else UNCLEAR
    line = REQUEST_LINE.match(data)
    if line is None or not _has_plain_lines(data, head_end):
        return UNCLEAR
    length: int | None = None
    lasting = True
    for name, space, value in SIGNIFICANT.findall(data, line.end() - 1, head_end):
        match name.lower(), space, value.lower():
            case b"content-length", b"", digits if length is None and LENGTH.fullmatch(digits):
                length = int(digits)
            case b"connection", b"", b"keep-alive":
                pass
            case b"connection", b"", b"close":
                lasting = False
            case _:
                return UNCLEAR
    missing = head_end + len(HEAD_END) + (length or 0) - len(data)
    if missing:
        return PART if missing > 0 else UNCLEAR
    return Glance(Arrived.WHOLE, line[1], line[2], lasting)


def _has_plain_lines(data: bytes, end: int) -> bool:
    """Whether every line ends with CR LF and none is folded."""
    lines = data.count(b"\r\n", 0, end)
    if data.count(b"\n", 0, end) != lines or data.count(b"\r", 0, end) != lines:
        return False
    return data.find(b"\n ", 0, end) < 0 and data.find(b"\n\t", 0, end) < 0


@attrs.frozen
class Rank:
    """How important a request is, and which domain it is for."""

    priority: Priority
    domain: str | None


UNKNOWN: Final = {
    method: Rank(priority_of_method(method.decode()), None)
    for method in (b"GET", b"HEAD", b"OPTIONS", b"POST")
}
"""Of requests that are for no route. They are answered all the same, with a refusal."""

ANY: Final = b"{}"


@attrs.define
class _Branch:
    """The routes whose paths begin alike; `ANY` is the segment for a parameter."""

    branches: dict[bytes, "_Branch"] = attrs.field(factory=dict)
    ranks: dict[bytes, Rank] = attrs.field(factory=dict)


class Priorities:
    """The priorities that routes declare, found by method and path."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Branch()
        for route in routes:
            branch = self._root
            for segment in route.path.encode().split(b"/"):
                key = ANY if segment.startswith(b"{") else segment
                branch = branch.branches.setdefault(key, _Branch())
            branch.ranks[route.method.encode()] = Rank(route.priority, route.domain)

    def of(self, method: bytes, path: bytes) -> Rank:
        """That of the route, or of any request with the method where there is no such route."""
        branch: _Branch | None = self._root
        for segment in path.split(b"/"):
            if branch is None:
                break
            branch = branch.branches.get(segment) or branch.branches.get(ANY)
        if branch is not None:
            rank = branch.ranks.get(b"GET" if method == b"HEAD" else method)
            if rank is not None:
                return rank
        return UNKNOWN.get(method, UNKNOWN[b"POST"])
