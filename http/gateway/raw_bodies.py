"""Bodies that are taken as they are: files, and what others have signed."""

from collections.abc import Iterable
from typing import Final

from gateway.head import Head
from gateway.problems import Headers, Problem
from gateway.routes import RawBody

UNCOMPRESSED: Final[Headers] = (("accept-encoding", "identity"),)


def raw_body(
    data: str | bytes, head: Head, headers: Iterable[tuple[bytes, bytes]], media: tuple[str, ...]
) -> RawBody:
    """The body of a request, where it is of one of these media types. Raises `Problem`."""
    if head.content_encoding not in (None, b"identity"):
        raise Problem(415, "unsupported_encoding", "send the body uncompressed", UNCOMPRESSED)
    told = (head.content_type or b"").partition(b";")[0].strip().lower().decode("latin-1")
    if told not in media:
        raise Problem(415, "unsupported_media_type", f"send the body as {' or '.join(media)}")
    named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
    return RawBody(data.encode() if isinstance(data, str) else data, named)
