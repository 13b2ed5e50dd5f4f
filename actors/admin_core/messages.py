"""What other parts of LoyalNest may say to the admin_core domain, and what it answers."""

from datetime import datetime
from enum import Enum
from typing import Any

import attrs
import msgspec

from actors.vocabulary import Page, Refusal
from runtime.message import Call
from runtime.outbox import OutboxEvent

AUDIT = "admin_core.audit"
"""Name of the actor that writes the audit log."""

QUERIES = "admin_core.queries"
"""Name of the actor that reads it."""

PRIVACY = "admin_core.privacy"
"""Name of the actor that keeps what customers ask for about their data."""

AUDITED = "admin_core.audited"
"""Topic of the outbox event that becomes an entry of the log; payload: `AuditRecord`."""

PLATFORM = "-"
"""Stands for the platform where an id of a merchant is asked for. No merchant is called so."""

LANE = "audit"
"""Key of the events: those of one merchant are in order."""

SYSTEM = "system"
"""Subject and role of what nobody did, such as a switch whose time is up."""


@attrs.frozen(kw_only=True)
class AuditRecord:
    """Who did what to what, and why.

    `subject` and `role` are of the caller's token. `action` is a stable word such as
    `dead_letter.put_back`. `before` and `after` are JSON values, None where there is none.
    """

    subject: str
    role: str
    action: str
    target: str
    before: Any = None
    after: Any = None
    reason: str | None = None
    trace_id: str | None = None


@attrs.frozen(kw_only=True)
class AuditEntry:
    """A record in its place. `hash` covers it, and the hash of the entry before it.

    Every merchant has a chain of its own, and so has the platform (`merchant_id` None).
    """

    merchant_id: str | None
    sequence: int
    entry_id: str
    happened_at: datetime
    subject: str
    role: str
    action: str
    target: str
    before: Any
    after: Any
    reason: str | None
    trace_id: str | None
    hash: str


@attrs.frozen
class Broken:
    """An entry of a chain that does not fit what stands before it."""

    merchant_id: str | None
    sequence: int
    detail: str


@attrs.frozen
class AuditVerification:
    """`broken` has the first wrong entry of each chain, of at most 100 chains."""

    clean: bool
    chains: int
    entries: int
    broken: tuple[Broken, ...]


def audit_event(
    record: AuditRecord, *, event_id: str, at: datetime, merchant_id: str | None = None
) -> OutboxEvent:
    """The event to publish in the transaction of what the record tells of. It becomes an entry of
    the merchant's chain, or of the platform's; once, under the id of the event."""
    return OutboxEvent(
        merchant_id=merchant_id if merchant_id is not None else PLATFORM,
        event_id=event_id,
        topic=AUDITED,
        key=LANE,
        payload=msgspec.to_builtins(record),
        created_at=at,
    )


@attrs.frozen
class ListAudit(Call[Page[AuditEntry] | Refusal]):
    """To `QUERIES`: entries, the latest first; of all chains, or of one merchant's, or, with
    `PLATFORM`, of the platform's."""

    cursor: str | None = None
    limit: int = 50
    merchant_id: str | None = None


@attrs.frozen
class VerifyAudit(Call[AuditVerification]):
    """To `QUERIES`: recompute all chains. Takes the longer the more entries there are."""


class PrivacyKind(Enum):
    """`EXPORT`: a customer wants to know what is kept; `ERASE`: wants it gone."""

    EXPORT = "export"
    ERASE = "erase"


class PrivacyState(Enum):
    """An erasure is `RUNNING` until it has happened. An export is `OPEN` until somebody says that
    the customer has it. `REFUSED`: there is no such customer."""

    OPEN = "open"
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"


@attrs.frozen(kw_only=True)
class PrivacyRequest:
    """What a customer asked for, and until when the law wants it done. `reference` is the name that
    whoever passed it on has for it."""

    merchant_id: str
    request_id: str
    customer_id: str
    kind: PrivacyKind
    state: PrivacyState
    reference: str | None
    reason: str
    requested_by: str
    received_at: datetime
    due_at: datetime
    ended_at: datetime | None
    outcome: str | None


@attrs.frozen(kw_only=True)
class RequestPrivacy(Call[PrivacyRequest | Refusal]):
    """To `PRIVACY`: note a request, and begin with it. `publishes` are events of the same
    transaction. A customer that there is not is refused."""

    merchant_id: str
    request_id: str
    customer_id: str
    kind: PrivacyKind
    reason: str
    requested_by: str
    received_at: datetime | None = None
    publishes: tuple[OutboxEvent, ...] = ()


@attrs.frozen
class CompletePrivacy(Call[PrivacyRequest | Refusal]):
    """To `PRIVACY`: the customer has the export."""

    request_id: str
    outcome: str
    publishes: tuple[OutboxEvent, ...] = ()


@attrs.frozen
class GetPrivacyRequest(Call[PrivacyRequest | None]):
    """To `QUERIES`."""

    request_id: str


@attrs.frozen(kw_only=True)
class ListPrivacyRequests(Call[Page[PrivacyRequest] | Refusal]):
    """To `QUERIES`, those that are due first first; of all merchants, or of one; or those that have
    not ended."""

    merchant_id: str | None = None
    unfinished: bool = False
    limit: int = 50
    cursor: str | None = None
