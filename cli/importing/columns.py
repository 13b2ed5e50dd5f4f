"""Which column of a CSV file is what, found from its header."""

from collections.abc import Sequence

import attrs

from cli.errors import CommandFailed

DELIMITERS = (",", ";", "\t")
NAMES = {
    "order_id": ("order_id", "order", "order_number", "id"),
    "customer_id": ("customer_id", "customer", "member_id"),
    "ordered_at": ("ordered_at", "order_date", "date", "created_at"),
    "items": ("items", "quantity", "units"),
    "total": ("total", "amount", "total_price"),
    "currency": ("currency",),
}
REQUIRED = ("customer_id", "ordered_at", "total")


@attrs.frozen
class Layout:
    """Where each value stands; `None` for a column that the file does not have."""

    delimiter: str
    width: int
    customer_id: int
    ordered_at: int
    total: int
    order_id: int | None = None
    items: int | None = None
    currency: int | None = None
    ignored: tuple[str, ...] = ()


def detect_layout(header: str) -> Layout:
    """The layout that fits a header line. Raises `CommandFailed` when none does."""
    candidates = [_layout(header, delimiter) for delimiter in DELIMITERS]
    for candidate in candidates:
        if isinstance(candidate, Layout):
            return candidate
    missing = min((c for c in candidates if not isinstance(c, Layout)), key=len)
    known = "; ".join(f"{name}: {'|'.join(NAMES[name])}" for name in missing)
    raise CommandFailed(f"the header line names no column for {known}")


def _layout(header: str, delimiter: str) -> Layout | Sequence[str]:
    """The layout, or the names of the columns that are missing."""
    titles = [title.strip().strip('"').strip().lower() for title in header.split(delimiter)]
    places = {name: _place(titles, aliases) for name, aliases in NAMES.items()}
    missing = [name for name in REQUIRED if places[name] is None]
    if missing:
        return missing
    used = set(places.values())
    ignored = tuple(title for place, title in enumerate(titles) if place not in used)
    return Layout(delimiter=delimiter, width=len(titles), ignored=ignored, **places)  # type: ignore[arg-type]


def _place(titles: Sequence[str], aliases: Sequence[str]) -> int | None:
    return next((titles.index(alias) for alias in aliases if alias in titles), None)
