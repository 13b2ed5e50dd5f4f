"""The actor that reads the audit log and privacy requests."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from actors.admin_core.messages import (
    AuditEntry,
    GetPrivacyRequest,
    ListAudit,
    ListPrivacyRequests,
    PrivacyRequest,
    VerifyAudit,
)
from actors.admin_core.queries import LIST_ALL, LIST_OF_MERCHANT, LIST_REQUESTS, SELECT_REQUEST
from actors.admin_core.records import entry_of, request_of
from actors.admin_core.verification import verify
from actors.paging import Moment, clamp_limit, decode_cursor, page
from actors.vocabulary import Page, Refusal
from runtime import ActorError, Workers
from runtime.storage import Database, Row, StorageError

NEWEST = (datetime.max.replace(tzinfo=UTC), "")
FIRST_DUE = (datetime.fromtimestamp(0, UTC), "")


class AuditReaders(Workers):
    """Reads, several at a time, whatever the writer does."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)
    concurrency: ClassVar[int] = 4

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    async def receive(self, message: Any) -> object:
        match message:
            case ListAudit():
                return await self._list(message)
            case VerifyAudit():
                return await verify(self._database)
            case GetPrivacyRequest():
                row = await self._database.fetch_row(SELECT_REQUEST, message.request_id)
                return request_of(row) if row is not None else None
            case ListPrivacyRequests():
                return await self._requests(message)
        return await super().receive(message)

    async def _list(self, wanted: ListAudit) -> Page[AuditEntry] | Refusal:
        before = decode_cursor(wanted.cursor, tuple[Moment, str], NEWEST)
        if isinstance(before, Refusal):
            return before
        limit = clamp_limit(wanted.limit)
        if wanted.merchant_id is None:
            rows = await self._database.fetch(LIST_ALL, *before, limit + 1)
        else:
            values = (wanted.merchant_id, *before, limit + 1)
            rows = await self._database.fetch(LIST_OF_MERCHANT, *values)
        return page(rows, limit, entry_of, _position)

    async def _requests(self, wanted: ListPrivacyRequests) -> Page[PrivacyRequest] | Refusal:
        after = decode_cursor(wanted.cursor, tuple[Moment, str], FIRST_DUE)
        if isinstance(after, Refusal):
            return after
        limit = clamp_limit(wanted.limit)
        values = (wanted.merchant_id, wanted.unfinished, *after, limit + 1)
        rows = await self._database.fetch(LIST_REQUESTS, *values)
        return page(rows, limit, request_of, lambda row: [row["due_at"].isoformat(), row[1]])


def _position(row: Row) -> tuple[str, str]:
    moment: datetime = row["happened_at"]
    return moment.isoformat(), row["entry_id"]
