"""The hash chain of the audit log."""

import hashlib
from datetime import UTC, datetime

import attrs
import msgspec

from actors.admin_core.messages import PLATFORM, AuditEntry, AuditRecord

GENESIS = "0" * 64
"""Stands for the hash before the first entry."""


@attrs.frozen
class Head:
    """The last entry of a chain."""

    sequence: int = 0
    hash: str = GENESIS


def next_entry(
    head: Head, merchant_id: str | None, entry_id: str, at: datetime, record: AuditRecord
) -> AuditEntry:
    """The entry that follows the head of its chain."""
    entry = AuditEntry(
        merchant_id=merchant_id,
        sequence=head.sequence + 1,
        entry_id=entry_id,
        happened_at=at,
        subject=record.subject,
        role=record.role,
        action=record.action,
        target=record.target,
        before=record.before,
        after=record.after,
        reason=record.reason,
        trace_id=record.trace_id,
        hash="",
    )
    return attrs.evolve(entry, hash=entry_hash(head.hash, entry))


def entry_hash(before: str, entry: AuditEntry) -> str:
    """SHA-256 over the hash of the entry before and everything of this one but its own hash.

    As JSON without spaces, the keys of objects in order, so that no store's way of keeping JSON
    matters.
    """
    fields = [
        before,
        entry.merchant_id if entry.merchant_id is not None else PLATFORM,
        entry.sequence,
        entry.entry_id,
        entry.happened_at.astimezone(UTC).isoformat(timespec="microseconds"),
        entry.subject,
        entry.role,
        entry.action,
        entry.target,
        entry.before,
        entry.after,
        entry.reason,
        entry.trace_id,
    ]
    return hashlib.sha256(msgspec.json.encode(fields, order="sorted")).hexdigest()


def fault(head: Head, entry: AuditEntry) -> str | None:
    """Why an entry cannot follow the head of its chain; None when it can."""
    if entry.sequence != head.sequence + 1:
        return f"entry {head.sequence + 1} is missing"
    if entry.hash != entry_hash(head.hash, entry):
        return "the hash is not that of the entry and of the one before it"
    return None
