"""Values that every domain shares: refusals, idempotency, pages."""

from enum import Enum
from typing import Generic, TypeVar

import attrs

Item = TypeVar("Item", covariant=True)

MAX_AMOUNT = 10**12
"""Largest number of points, or of minor money units, in one mutation."""

MAX_PAGE = 200
"""Largest number of items on one page of a list."""


ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,63}"
CURRENCY_PATTERN = r"[A-Z]{3}"
SKU_PATTERN = r"[A-Z0-9][A-Z0-9-]{2,31}"
"""What ids, currency codes (ISO 4217) and article numbers look like, as a whole."""


class RefusalKind(Enum):
    """Whose fault a refusal is, which decides the HTTP status.

    `UNAVAILABLE` is ours: the part that was asked is down or too slow. Only there may the
    outcome be unknown; the same request with the same idempotency key is safe.
    """

    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    INVALID = "invalid"
    UNAVAILABLE = "unavailable"


@attrs.frozen
class Refusal:
    """An expected "no": nothing was changed, and `code` says why.

    `code` is stable and machine readable (`insufficient_points`), `detail` is for people.
    """

    kind: RefusalKind
    code: str
    detail: str


@attrs.frozen
class Idempotency:
    """A client's key for one mutation, with the fingerprint of the request it belongs to.

    The same key with another fingerprint is refused (`idempotency_key_reused`).
    """

    key: str
    fingerprint: str


KEY_REUSED = Refusal(
    RefusalKind.INVALID,
    "idempotency_key_reused",
    "the idempotency key was used with another request",
)


@attrs.frozen
class Page(Generic[Item]):
    """One page of a list. `next_cursor` is opaque, and `None` on the last page."""

    items: tuple[Item, ...]
    next_cursor: str | None
