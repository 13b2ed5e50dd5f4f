"""Telling the audit log what a request changes."""

from typing import Any

from actors.admin_core.messages import AuditRecord, audit_event
from gateway.routes import ApiRequest
from runtime.outbox import OutboxEvent


def audited(
    request: ApiRequest,
    action: str,
    target: str,
    *,
    before: Any = None,
    after: Any = None,
    reason: str | None = None,
    merchant_id: str | None = None,
) -> OutboxEvent:
    """The event to publish with the change. It belongs to the log of `merchant_id`, or of the
    platform."""
    record = AuditRecord(
        subject=request.caller.subject,
        role=request.caller.role.value,
        action=action,
        target=target,
        before=before,
        after=after,
        reason=reason,
        trace_id=request.trace_id,
    )
    event_id, now = request.system.ids.new("evt"), request.system.clock.now()
    return audit_event(record, event_id=event_id, at=now, merchant_id=merchant_id)
