"""Which column of a CSV file is what, found from its header."""

import csv
import re
from collections.abc import Mapping, Sequence

import attrs

DELIMITERS = (",", ";", "\t")
NOT_IN_NAMES = re.compile(r"[\s\-/]+")

Names = Mapping[str, tuple[str, ...]]
"""What a column may be called, in lower case with `_` between words."""


class UnknownColumns(ValueError):
    """No column is called as one that is needed."""


@attrs.frozen
class Columns:
    """What may stand in a kind of file. Of each group in `required`, one column is needed."""

    names: Names
    required: tuple[tuple[str, ...], ...]


@attrs.frozen
class Layout:
    """Where each value stands, for those columns that the file has."""

    delimiter: str
    width: int
    places: Mapping[str, int]
    ignored: tuple[str, ...] = ()

    def split(self, line: str) -> list[str]:
        """The values of a line. Raises `csv.Error` for quotes that do not pair."""
        if '"' not in line:
            return line.split(self.delimiter)
        return next(csv.reader([line], delimiter=self.delimiter, strict=True))

    def value(self, values: Sequence[str], name: str) -> str:
        """A value without the blanks around it; empty where there is no such column."""
        place = self.places.get(name)
        return values[place].strip() if place is not None else ""


def detect_layout(header: str, columns: Columns) -> Layout:
    """The layout that fits a header line. Raises `UnknownColumns` when none does."""
    candidates = [_layout(header, delimiter, columns) for delimiter in DELIMITERS]
    for candidate in candidates:
        if isinstance(candidate, Layout):
            return candidate
    missing = min((c for c in candidates if not isinstance(c, Layout)), key=len)
    known = "; ".join(
        " or ".join(f"{name}: {'|'.join(columns.names[name])}" for name in group)
        for group in missing
    )
    raise UnknownColumns(f"the header line names no column for {known}")


def _layout(header: str, delimiter: str, columns: Columns) -> Layout | Sequence[tuple[str, ...]]:
    """The layout, or the groups of names of which all are missing."""
    titles = [_title(text) for text in header.split(delimiter)]
    found = {name: _place(titles, aliases) for name, aliases in columns.names.items()}
    places = {name: place for name, place in found.items() if place is not None}
    missing = [group for group in columns.required if not places.keys() & set(group)]
    if missing:
        return missing
    used = set(places.values())
    ignored = tuple(title for place, title in enumerate(titles) if place not in used)
    return Layout(delimiter, len(titles), places, ignored)


def _title(text: str) -> str:
    return NOT_IN_NAMES.sub("_", text.strip().strip('"').strip().lower())


def _place(titles: Sequence[str], aliases: Sequence[str]) -> int | None:
    return next((titles.index(alias) for alias in aliases if alias in titles), None)
