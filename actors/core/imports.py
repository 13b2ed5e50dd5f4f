"""The actor that keeps imports: their parts, their state, and what became of their rows."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from actors.core.cipher import Vault
from actors.core.import_files import FileTrouble, header_of, layout_of
from actors.core.import_queries import (
    COUNT_OPEN,
    GROW,
    INSERT_IMPORT,
    INSERT_PART,
    LIST_ERRORS,
    LIST_IMPORTS,
    SELECT_DIGEST,
    SELECT_IMPORT,
    START,
    error_of,
    import_job,
    import_of,
    open_part,
    sealed_part,
)
from actors.core.import_steps import finish_entry
from actors.core.messages import (
    MAX_OPEN_IMPORTS,
    MAX_PART_BYTES,
    MAX_PARTS,
    MERCHANTS,
    AddPart,
    CancelImport,
    CreateImport,
    GetImport,
    GetMerchant,
    Import,
    ImportRows,
    ImportState,
    ListImportErrors,
    ListImports,
    RowError,
    StartImport,
)
from actors.core.model import check_currency, invalid
from actors.paging import Moment, SequenceNumber, clamp_limit, decode_cursor, page
from actors.room import no_room
from actors.vocabulary import Page, Refusal, RefusalKind
from runtime import Actor, ActorError
from runtime.context import current_trace_id
from runtime.jobs import JOBS, JobsAdded, job_write
from runtime.journal import JOURNAL, Append, Rejected
from runtime.storage import Database, Entry, StorageError, Superseded, Write

NEWEST = (datetime.max.replace(tzinfo=UTC), "~")
BUSY = Refusal(
    RefusalKind.CONFLICT, "import_conflict", "it was changed at the same time; try again"
)
UNKNOWN = Refusal(RefusalKind.NOT_FOUND, "import_unknown", "there is no such import")


class Imports(Actor):
    """Takes imports until they are started; then the job does. Every change names the state that
    it expects, so that neither overrules the other."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def receive(self, message: Any) -> object:
        match message:
            case CreateImport():
                return await self._create(message)
            case AddPart():
                return await self._add(message)
            case StartImport():
                return await self._start(message)
            case CancelImport():
                return await self._cancel(message)
            case GetImport():
                return await self._get(message.merchant_id, message.import_id)
            case ListImports():
                return await self._list(message)
            case ListImportErrors():
                return await self._errors(message)
        return await super().receive(message)

    async def _get(self, merchant_id: str, import_id: str) -> Import | None:
        row = await self._database.fetch_row(SELECT_IMPORT, merchant_id, import_id)
        return import_of(row) if row is not None else None

    async def _create(self, message: CreateImport) -> Import | Refusal:
        merchant = await self.system.ref(MERCHANTS).ask(GetMerchant(message.merchant_id))
        if merchant is None:
            return Refusal(RefusalKind.NOT_FOUND, "merchant_unknown", "there is no such merchant")
        currency = message.currency or merchant.currency
        refusal = check_currency(currency)
        if refusal is not None:
            return refusal
        if await self._database.fetch_value(COUNT_OPEN, message.merchant_id) >= MAX_OPEN_IMPORTS:
            detail = f"{MAX_OPEN_IMPORTS} imports are not finished; cancel some of them"
            return Refusal(RefusalKind.CONFLICT, "too_many_imports", detail)
        created = Import(
            import_id=self.system.ids.new("imp"),
            kind=message.kind,
            state=ImportState.UPLOADING,
            dry_run=message.dry_run,
            currency=currency,
            created_by=message.created_by,
            created_at=self.system.clock.now(),
            parts=0,
            size_bytes=0,
            done_bytes=0,
            rows=ImportRows(),
        )
        row = (created.import_id, created.kind.value, created.state.value, created.dry_run)
        rest = (currency, created.created_by, created.created_at, 0, 0)
        answer = await self._append((Write(INSERT_IMPORT, (message.merchant_id, *row, *rest)),))
        if answer is not None:
            raise answer.violation
        return created

    async def _add(self, message: AddPart) -> Import | Refusal:
        known = await self._get(message.merchant_id, message.import_id)
        if known is None:
            return UNKNOWN
        digest = hashlib.sha256(message.content).hexdigest()
        if message.part < known.parts:
            return await self._same_part(message, known, digest)
        refusal = _check_part(message, known)
        if refusal is not None:
            return refusal
        key = (message.merchant_id, message.import_id)
        size = len(message.content)
        grow = (*key, ImportState.UPLOADING.value, known.parts, size)
        sealed = sealed_part(self._vault, key[0], message.content, self.system.random)
        row = (*key, message.part, sealed.text, sealed.version, digest)
        entry = (Write(GROW, grow), Write(INSERT_PART, row))
        return await self._changed(entry, message)

    async def _same_part(self, message: AddPart, known: Import, digest: str) -> Import | Refusal:
        values = (message.merchant_id, message.import_id, message.part)
        there = await self._database.fetch_value(SELECT_DIGEST, *values)
        if there == digest or (there is None and known.state is not ImportState.UPLOADING):
            return known
        detail = f"part {message.part} is there with another content"
        return Refusal(RefusalKind.CONFLICT, "part_conflict", detail)

    async def _changed(self, entry: Entry, message: Any) -> Import | Refusal:
        answer = await self._append(entry)
        if answer is not None and not isinstance(answer.violation, Superseded):
            raise answer.violation
        if answer is not None:
            return BUSY
        return await self._get(message.merchant_id, message.import_id) or UNKNOWN

    async def _append(self, entry: Entry) -> Rejected | None:
        return await self.system.ref(JOURNAL).ask(Append(entry))

    async def _start(self, message: StartImport) -> Import | Refusal:
        merchant_id, import_id = message.merchant_id, message.import_id
        known = await self._get(merchant_id, import_id)
        if known is None:
            return UNKNOWN
        if known.state in {ImportState.RUNNING, ImportState.DONE}:
            return known
        if known.state is not ImportState.UPLOADING:
            return _ended(known)
        first = await open_part(self._database, self._vault, merchant_id, import_id, 0)
        if first is None:
            return invalid("no_parts", "there is nothing to import: no part was sent")
        try:
            header, start = header_of(first)
            layout_of(known.kind, header)
        except FileTrouble as trouble:
            return invalid("unusable_file", str(trouble))
        job = import_job(merchant_id, import_id)
        refusal = await no_room(self.system, job.queue)
        if refusal is not None:
            return refusal
        row = (merchant_id, import_id, ImportState.UPLOADING.value, known.parts, header, start)
        entry = (
            Write(START, (*row, ImportState.RUNNING.value)),
            job_write(
                job,
                job_id=self.system.ids.new("job"),
                now=self.system.clock.now(),
                trace_id=current_trace_id(),
            ),
        )
        started = await self._changed(entry, message)
        self.system.ref(JOBS).tell(JobsAdded(job.queue))
        return started

    async def _cancel(self, message: CancelImport) -> Import | Refusal:
        known = await self._get(message.merchant_id, message.import_id)
        if known is None:
            return UNKNOWN
        if known.state is ImportState.CANCELLED:
            return known
        if known.finished_at is not None:
            return _ended(known)
        now, cancelled = self.system.clock.now(), ImportState.CANCELLED.value
        key = (message.merchant_id, message.import_id)
        entry = finish_entry(*key, known.state.value, cancelled, now, None)
        return await self._changed(entry, message)

    async def _list(self, message: ListImports) -> Page[Import] | Refusal:
        limit = clamp_limit(message.limit)
        before = decode_cursor(message.cursor, tuple[Moment, str], NEWEST)
        if isinstance(before, Refusal):
            return before
        rows = await self._database.fetch(LIST_IMPORTS, message.merchant_id, *before, limit + 1)
        return page(
            rows, limit, import_of, lambda row: [row["created_at"].isoformat(), row["import_id"]]
        )

    async def _errors(self, message: ListImportErrors) -> Page[RowError] | Refusal:
        limit = clamp_limit(message.limit)
        after = decode_cursor(message.cursor, tuple[SequenceNumber], (0,))
        if isinstance(after, Refusal):
            return after
        if await self._get(message.merchant_id, message.import_id) is None:
            return UNKNOWN
        values = (message.merchant_id, message.import_id, *after, limit + 1)
        rows = await self._database.fetch(LIST_ERRORS, *values)
        return page(rows, limit, error_of, lambda row: [row["line"]])


def _check_part(message: AddPart, known: Import) -> Refusal | None:
    if known.state is not ImportState.UPLOADING:
        return _ended(known)
    if message.part > known.parts:
        return invalid("part_out_of_order", f"part {known.parts} comes next")
    if message.part >= MAX_PARTS:
        return invalid("too_many_parts", f"an import has at most {MAX_PARTS} parts")
    if not 0 < len(message.content) <= MAX_PART_BYTES:
        return invalid("invalid_part", f"a part has 1 to {MAX_PART_BYTES} bytes")
    return None


ENDINGS: Mapping[ImportState, str] = {
    ImportState.RUNNING: "is running already",
    ImportState.DONE: "is done",
    ImportState.FAILED: "has failed",
    ImportState.CANCELLED: "was cancelled",
}


def _ended(known: Import) -> Refusal:
    detail = f"the import {ENDINGS[known.state]}"
    return Refusal(RefusalKind.CONFLICT, "import_not_open", detail)
