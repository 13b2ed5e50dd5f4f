"""The actor that writes flags: every change with its history, its audit entry and its event."""

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec

from actors.admin_features.keeper import Refresh
from actors.admin_features.messages import (
    FLAG_CHANGED,
    KEEPER,
    Flag,
    FlagChanged,
    FlagHistory,
    FlagRevision,
    FlagTerms,
    GetFlag,
    KillFlag,
    ListFlags,
    OverrideFlag,
    PutFlag,
)
from actors.admin_features.model import check_flag, conflict, killed, overridden, unknown
from actors.admin_features.queries import (
    CHANGE_FLAG,
    INSERT_FLAG,
    INSERT_HISTORY,
    LIST_FLAGS,
    LIST_HISTORY,
    PLATFORM,
    SELECT_FLAG,
)
from actors.admin_features.records import flag_of, revision_of
from actors.paging import SequenceNumber, clamp_limit, decode_cursor, page
from actors.vocabulary import Page, Refusal
from runtime import Actor, ActorError
from runtime.journal import JOURNAL, Append, Rejected
from runtime.outbox import OutboxEvent
from runtime.storage import Database, StorageError, Write
from runtime.storage.outbox import event_write

Change = PutFlag | KillFlag | OverrideFlag

ATTEMPTS = 3
"""How often a kill or an override is applied to what somebody else changed meanwhile."""

NEWEST = (2**62,)


class FlagDesk(Actor):
    """Flags are the platform's: there are few of them, and they change seldom."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def receive(self, message: Any) -> object:
        match message:
            case PutFlag():
                return await self._put(message)
            case KillFlag():
                return await self._change(message, lambda flag: killed(flag, message.killed))
            case OverrideFlag():
                merchant_id, value = message.merchant_id, message.value
                return await self._change(
                    message, lambda flag: overridden(flag, merchant_id, value)
                )
            case GetFlag():
                return await self._flag(message.key)
            case ListFlags():
                return await self._list(message)
            case FlagHistory():
                return await self._history(message)
        return await super().receive(message)

    async def _flag(self, key: str) -> Flag | None:
        row = await self._database.fetch_row(SELECT_FLAG, PLATFORM, key)
        return flag_of(row) if row is not None else None

    async def _put(self, message: PutFlag) -> Flag | Refusal:
        refusal = check_flag(message.key, message.terms)
        if refusal is not None:
            return refusal
        current = await self._flag(message.key)
        if current is not None and current.terms == message.terms:
            return current
        version = current.version if current is not None else 0
        if version != message.version:
            return conflict(message.key, version)
        flag = await self._write(message, message.terms, version)
        return flag if flag is not None else conflict(message.key, version + 1)

    async def _change(
        self, message: KillFlag | OverrideFlag, change: Callable[[Flag], FlagTerms]
    ) -> Flag | Refusal:
        """As it is now, whatever version that is."""
        seen = 0
        for _ in range(ATTEMPTS):
            current = await self._flag(message.key)
            if current is None:
                return unknown(message.key)
            terms = change(current)
            if terms == current.terms:
                return current
            refusal = check_flag(message.key, terms)
            if refusal is not None:
                return refusal
            flag = await self._write(message, terms, current.version)
            if flag is not None:
                return flag
            seen = current.version + 1
        return conflict(message.key, seen)

    async def _write(self, message: Change, terms: FlagTerms, version: int) -> Flag | None:
        """The flag after `version`, durable; None when somebody else wrote one meanwhile."""
        now = self.system.clock.now()
        flag = Flag(message.key, version + 1, terms, now)
        definition = msgspec.to_builtins(terms)
        row = (PLATFORM, flag.key, flag.version, definition, now)
        event = OutboxEvent(
            merchant_id=PLATFORM,
            event_id=self.system.ids.new("ev"),
            topic=FLAG_CHANGED,
            key=flag.key,
            payload=msgspec.to_builtins(FlagChanged(flag.key, flag.version)),
            created_at=now,
        )
        entry = (
            Write(INSERT_FLAG if version == 0 else CHANGE_FLAG, row),
            Write(INSERT_HISTORY, (*row, message.by, message.reason)),
            event_write(message.audit),
            event_write(event),
        )
        answer = await self.system.ref(JOURNAL).ask(Append(entry, publishes=True))
        if isinstance(answer, Rejected):
            return None
        self.system.ref(KEEPER).tell(Refresh())
        return flag

    async def _list(self, message: ListFlags) -> Page[Flag] | Refusal:
        limit = clamp_limit(message.limit)
        after = decode_cursor(message.cursor, tuple[str], ("",))
        if isinstance(after, Refusal):
            return after
        rows = await self._database.fetch(LIST_FLAGS, PLATFORM, *after, limit + 1)
        return page(rows, limit, flag_of, lambda row: [row["flag_key"]])

    async def _history(self, message: FlagHistory) -> Page[FlagRevision] | Refusal:
        limit = clamp_limit(message.limit)
        before = decode_cursor(message.cursor, tuple[SequenceNumber], NEWEST)
        if isinstance(before, Refusal):
            return before
        values = (PLATFORM, message.key, *before, limit + 1)
        rows = await self._database.fetch(LIST_HISTORY, *values)
        return page(rows, limit, revision_of, lambda row: [row["version"]])
