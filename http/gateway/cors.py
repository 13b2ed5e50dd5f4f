"""Which web pages of other origins may read answers: those on a list, and nobody by default."""

from typing import Final

import attrs
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from gateway.head import Head
from gateway.problems import Headers, Problem
from gateway.routes import Answer

ALLOWED_HEADERS: Final = "Authorization, Content-Type, Idempotency-Key, X-Request-Id, traceparent"
EXPOSED_HEADERS: Final = (
    "Idempotency-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"
)
PREFLIGHT_MAX_AGE_S: Final = 600

VARY: Final[Headers] = (("vary", "origin"),)


@attrs.frozen
class Cors:
    """Cross-origin sharing with the origins of a list, for requests with a token and no cookies."""

    origins: frozenset[str] = frozenset()

    def headers(self, head: Head) -> Headers:
        """What an answer says about who may read it."""
        if not self.origins:
            return ()
        origin = self._allowed(head)
        if origin is None:
            return VARY
        return (
            ("access-control-allow-origin", origin),
            ("access-control-expose-headers", EXPOSED_HEADERS),
            *VARY,
        )

    def preflight(self, method: str, head: Head, error: HTTPException) -> Answer | None:
        """The answer to a browser's question before a request; None when it is none.

        `error` is what routing found. Raises `Problem` for an origin that is not listed.
        """
        asks = method == "OPTIONS" and head.origin is not None and head.requested_method is not None
        if not asks or not self.origins or not isinstance(error, MethodNotAllowed):
            return None
        if self._allowed(head) is None:
            raise Problem(403, "origin_not_allowed", "pages of this origin may not use the API")
        headers = (
            ("access-control-allow-methods", ", ".join(sorted(error.valid_methods or ()))),
            ("access-control-allow-headers", ALLOWED_HEADERS),
            ("access-control-max-age", str(PREFLIGHT_MAX_AGE_S)),
        )
        return Answer(b"", 204, headers=headers)

    def _allowed(self, head: Head) -> str | None:
        if head.origin is None:
            return None
        origin = head.origin.decode("latin1")
        return origin if origin in self.origins else None
