"""Between the audit log's values and its table."""

from datetime import datetime
from typing import Any

from actors.admin_core.messages import PLATFORM, AuditEntry
from actors.admin_core.queries import INSERT_ENTRY
from runtime.storage import Row, Write


def entry_write(entry: AuditEntry) -> Write:
    row: tuple[Any, ...] = (
        entry.merchant_id if entry.merchant_id is not None else PLATFORM,
        entry.sequence,
        entry.entry_id,
        entry.happened_at,
        entry.subject,
        entry.role,
        entry.action,
        entry.target,
        entry.before,
        entry.after,
        entry.reason,
        entry.trace_id,
        entry.hash,
    )
    return Write(INSERT_ENTRY, row)


def entry_of(row: Row) -> AuditEntry:
    """A row of the columns of `COLUMNS`."""
    merchant_id, sequence, entry_id, happened_at, subject, role, action, target, *rest = row
    before, after, reason, trace_id, hash_ = rest
    moment: datetime = happened_at
    return AuditEntry(
        merchant_id=merchant_id if merchant_id != PLATFORM else None,
        sequence=sequence,
        entry_id=entry_id,
        happened_at=moment,
        subject=subject,
        role=role,
        action=action,
        target=target,
        before=before,
        after=after,
        reason=reason,
        trace_id=trace_id,
        hash=hash_,
    )
