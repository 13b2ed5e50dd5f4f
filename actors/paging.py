"""Cursors of lists: the sort key of the last item, opaque to clients."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from actors.vocabulary import MAX_PAGE, Page

Row = TypeVar("Row")
Item = TypeVar("Item")


def encode_cursor(key: Sequence[str | int]) -> str:
    """A cursor that continues after the item with this sort key."""
    return base64.urlsafe_b64encode(msgspec.json.encode(list(key))).decode().rstrip("=")


def decode_cursor(cursor: str | None, parts: int) -> tuple[str | int, ...] | None:
    """The sort key in a cursor; None without a cursor, or with one that is not ours."""
    if cursor is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        key = msgspec.json.decode(raw, type=list[str | int])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        return None
    return tuple(key) if len(key) == parts else None


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
