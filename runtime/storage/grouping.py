"""How the rows of many entries become few statements."""

from collections.abc import Sequence
from typing import Any

from runtime.storage.port import Entry, Statement

Group = tuple[Statement, list[tuple[Any, ...]]]
"""A statement, and all rows that are written with it."""


def grouped(entries: Sequence[Entry]) -> list[Group]:
    """The rows by statement, statements in the order of their ranks and names."""
    rows_of: dict[Statement, list[tuple[Any, ...]]] = {}
    for entry in entries:
        for statement, row in entry:
            rows = rows_of.get(statement)
            if rows is None:
                rows = rows_of[statement] = []
            rows.append(row)
    return sorted(rows_of.items(), key=lambda group: (group[0].rank, group[0].name))
