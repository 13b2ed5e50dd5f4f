"""Between the domain's values and its tables."""

from datetime import datetime
from typing import Any

from actors.admin_core.messages import (
    PLATFORM,
    AuditEntry,
    PrivacyKind,
    PrivacyRequest,
    PrivacyState,
)
from actors.admin_core.queries import INSERT_ENTRY, INSERT_REQUEST
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


def request_write(request: PrivacyRequest) -> Write:
    row: tuple[Any, ...] = (
        request.merchant_id,
        request.request_id,
        request.customer_id,
        request.kind.value,
        request.state.value,
        request.reference,
        request.reason,
        request.requested_by,
        request.received_at,
        request.due_at,
        request.ended_at,
        request.outcome,
    )
    return Write(INSERT_REQUEST, row)


def request_of(row: Row) -> PrivacyRequest:
    """A row of `REQUEST_COLUMNS`."""
    merchant_id, request_id, customer_id, kind, state, reference, reason, by, *times, outcome = row
    received_at, due_at, ended_at = times
    return PrivacyRequest(
        merchant_id=merchant_id,
        request_id=request_id,
        customer_id=customer_id,
        kind=PrivacyKind(kind),
        state=PrivacyState(state),
        reference=reference,
        reason=reason,
        requested_by=by,
        received_at=received_at,
        due_at=due_at,
        ended_at=ended_at,
        outcome=outcome,
    )
