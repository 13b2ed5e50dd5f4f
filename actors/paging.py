"""Cursors of lists: the sort key of the last item, opaque to clients."""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec

from actors.vocabulary import MAX_PAGE, Page, Refusal, RefusalKind

Row = TypeVar("Row")
Item = TypeVar("Item")
Key = TypeVar("Key", bound=tuple[Any, ...])

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
SequenceNumber = Annotated[int, msgspec.Meta(ge=0, le=2**62)]

INVALID_CURSOR = Refusal(
    RefusalKind.INVALID, "invalid_cursor", "the cursor is not one that this list has given"
)


def encode_cursor(key: Sequence[str | int]) -> str:
    """A cursor that continues after the item with this sort key."""
    return base64.urlsafe_b64encode(msgspec.json.encode(list(key))).decode().rstrip("=")


def decode_cursor(cursor: str | None, key_type: type[Key], start: Key) -> Key | Refusal:
    """The sort key in a cursor; `start` without a cursor, a refusal for one that is not ours."""
    if cursor is None:
        return start
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        key = msgspec.json.decode(raw, type=key_type)
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        return INVALID_CURSOR
    return key if all(map(_storable, key)) else INVALID_CURSOR


def _storable(part: object) -> bool:
    """Our times are in UTC, others may have no equivalent there. PostgreSQL knows no NUL."""
    if isinstance(part, datetime):
        return not part.utcoffset()
    return not isinstance(part, str) or "\0" not in part


def clamp_limit(limit: int) -> int:
    """The page size in force."""
    return max(1, min(limit, MAX_PAGE))


def page(
    rows: Sequence[Row],
    limit: int,
    item: Callable[[Row], Item],
    key: Callable[[Row], Sequence[str | int]],
) -> Page[Item]:
    """A page out of up to `limit` + 1 rows; the one too many says that there is more."""
    shown = rows[:limit]
    more = len(rows) > limit
    return Page(tuple(map(item, shown)), encode_cursor(key(shown[-1])) if more else None)
