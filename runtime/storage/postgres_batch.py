"""How the rows of a group commit become as few statements as possible.

Statements on different tables run as parts of one (`WITH s1 AS (INSERT …), s2 AS (UPDATE …)`), as
they cannot see each other's effects anyway; foreign keys are checked at the end of it. Most group
commits are then a single statement, and its own transaction: one round trip instead of nine.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from runtime.storage.port import Statement
from runtime.storage.postgres_bulk import BulkStatement, Rows, Unsplittable

SUPERSEDED = "LN001"
"""SQLSTATE of the error by which `loyalnest_expect` ends a transaction; its text is a name."""


ASYNCHRONOUSLY = "set_config('synchronous_commit', 'off', true)"
"""For the transaction that it is selected in: the server answers before the commit is on disk."""


@attrs.frozen
class Step:
    """Rows for one statement. Without `arguments` they have to be written one by one."""

    statement: Statement
    bulk: BulkStatement | None
    rows: Rows
    arguments: Sequence[Any] | None


@attrs.frozen
class Stage:
    """Steps on different tables, which run as one statement; or one step that cannot."""

    steps: tuple[Step, ...]

    @property
    def together(self) -> bool:
        return self.steps[0].arguments is not None

    @property
    def statements(self) -> tuple[Statement, ...]:
        """What the text of the statement depends on."""
        return tuple([step.statement for step in self.steps])

    def sql(self, *, synchronous: bool = True) -> str:
        """The one statement, which commits asynchronously if it is its own transaction and not
        `synchronous`. The number of rows that an exact part must change is a parameter behind
        those of all parts."""
        parts, checks, first = [], [], 1
        last = sum(len(step.bulk.types) for step in self.steps if step.bulk is not None)
        for number, step in enumerate(self.steps, 1):
            if step.bulk is None:
                raise ValueError("a stage that does not run together has no one statement")
            text = step.bulk.with_parameters_from(first)
            first += len(step.bulk.types)
            if step.statement.exact:
                last += 1
                text += " RETURNING 1"
                checks.append(
                    f"loyalnest_expect('{step.statement.name}',"  # noqa: S608
                    f" (SELECT count(*) FROM s{number}), CAST(${last} AS BIGINT))"
                )
            parts.append(f"s{number} AS ({text})")
        selected = checks if synchronous else [*checks, ASYNCHRONOUSLY]
        return f"WITH {', '.join(parts)} SELECT {', '.join(selected) or '1'}"

    def arguments(self) -> list[Any]:
        values = [value for step in self.steps for value in step.arguments or ()]
        return values + [len(step.rows) for step in self.steps if step.statement.exact]


def steps_of(statement: Statement, bulk: BulkStatement | None, rows: Rows) -> list[Step]:
    """The rows in their order; those that write the same row again are further steps."""
    if bulk is None:
        return [Step(statement, None, rows, None)]
    return [_step(statement, bulk, run) for run in bulk.runs(rows)]


def _step(statement: Statement, bulk: BulkStatement, rows: Rows) -> Step:
    try:
        return Step(statement, bulk, rows, bulk.arguments(rows))
    except Unsplittable:
        return Step(statement, bulk, rows, None)


def stages_of(steps: Iterable[Step]) -> list[Stage]:
    """The steps in their order, together while they are on different tables."""
    stages: list[Stage] = []
    current: list[Step] = []
    tables: set[str] = set()
    for step in steps:
        table = step.bulk.table if step.bulk is not None else ""
        alone = step.arguments is None
        if current and (alone or table in tables):
            stages.append(Stage(tuple(current)))
            current, tables = [], set()
        if alone:
            stages.append(Stage((step,)))
        else:
            current.append(step)
            tables.add(table)
    return [*stages, Stage(tuple(current))] if current else stages
