"""The steps of an import: what is written so that none is done twice, and none is forgotten."""

from collections.abc import Sequence
from datetime import datetime

from actors.core.messages import (
    ImportRows,
    ImportStep,
    OrderResult,
    OrderStatus,
    RowError,
    Upserted,
    UpsertStatus,
)
from actors.vocabulary import Refusal
from runtime.storage import Entry, Statement, Write

ADVANCE = Statement(
    "core.advance_import",
    "UPDATE imports SET step = step + 1, part = $5, offset_bytes = $6, done_bytes = $7, line = $8,"
    " rows_read = rows_read + $9, rows_new = rows_new + $10, rows_changed = rows_changed + $11,"
    " rows_unchanged = rows_unchanged + $12, rows_refused = rows_refused + $13"
    " WHERE merchant_id = $1 AND import_id = $2 AND step = $3 AND state = $4 AND done_bytes = $14",
    40,
    exact=True,
)

FINISH = Statement(
    "core.finish_import",
    "UPDATE imports SET state = $4, finished_at = $5, failure = $6"
    " WHERE merchant_id = $1 AND import_id = $2 AND state = $3",
    41,
    exact=True,
)

DELETE_PARTS = Statement(
    "core.delete_import_parts",
    "DELETE FROM import_parts WHERE merchant_id = $1 AND import_id = $2",
    42,
)

INSERT_ERROR = Statement(
    "core.insert_import_error",
    "INSERT INTO import_errors (merchant_id, import_id, line, place, shown, reason)"
    " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (merchant_id, import_id, line) DO NOTHING",
    43,
)

RUNNING = "running"

Result = Upserted | OrderResult | UpsertStatus | Refusal


def step_entry(merchant_id: str, step: ImportStep, results: Sequence[Result]) -> Entry:
    """The progress of a step whose rows had these results."""
    errors = sorted([*step.errors, *refused(step.lines, results)], key=lambda error: error.line)
    kept = errors[: step.errors_max]
    rows = counted(results, unreadable=len(step.errors))
    key = (merchant_id, step.import_id)
    place = (step.part, step.offset_bytes, step.done_bytes, step.line)
    counts = (rows.read, rows.new, rows.changed, rows.unchanged, rows.refused)
    advance = Write(ADVANCE, (*key, step.number, RUNNING, *place, *counts, step.from_bytes))
    return (
        advance,
        *(Write(INSERT_ERROR, (*key, e.line, e.column, e.value, e.reason)) for e in kept),
    )


def refused(lines: Sequence[int], results: Sequence[Result]) -> list[RowError]:
    return [
        RowError(line, "", "", result.detail)
        for line, result in zip(lines, results, strict=True)
        if isinstance(result, Refusal)
    ]


def counted(results: Sequence[Result], unreadable: int) -> ImportRows:
    statuses = [_status(result) for result in results]
    refusals = statuses.count(None)
    return ImportRows(
        read=len(results) + unreadable,
        new=statuses.count(UpsertStatus.CREATED),
        changed=statuses.count(UpsertStatus.CHANGED),
        unchanged=statuses.count(UpsertStatus.UNCHANGED),
        refused=refusals + unreadable,
    )


def _status(result: Result) -> UpsertStatus | None:
    if isinstance(result, OrderResult):
        new = result.status is OrderStatus.RECORDED
        return UpsertStatus.CREATED if new else UpsertStatus.UNCHANGED
    if isinstance(result, Upserted):
        return result.status
    return result if isinstance(result, UpsertStatus) else None


def finish_entry(
    merchant_id: str, import_id: str, before: str, after: str, now: datetime, failure: str | None
) -> Entry:
    """The import has ended: its parts, which hold personal data, go."""
    key = (merchant_id, import_id)
    return (
        Write(FINISH, (*key, before, after, now, failure)),
        Write(DELETE_PARTS, key),
    )
