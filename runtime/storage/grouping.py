"""How the rows of many entries become few statements."""

from collections.abc import Sequence
from typing import Any

from runtime.storage.port import AnyEntry, Statement, Write

Group = tuple[Statement, list[tuple[Any, ...]]]
"""A statement, and all rows that are written with it."""


def grouped(entries: Sequence[AnyEntry]) -> list[Group]:
    """The rows by statement, statements in the order of their ranks and names.

    Raises `ConstraintViolation` where packed rows cannot be read.
    """
    rows_of: dict[Statement, list[tuple[Any, ...]]] = {}
    for entry in entries:
        for write in entry:
            rows = rows_of.get(write.statement)
            if rows is None:
                rows = rows_of[write.statement] = []
            if isinstance(write, Write):
                rows.append(write.row)
            else:
                rows += write.rows
    groups = ((statement, rows) for statement, rows in rows_of.items() if rows)
    return sorted(groups, key=lambda group: (group[0].rank, group[0].name))
