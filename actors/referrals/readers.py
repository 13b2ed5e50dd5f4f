"""The actor that reads referrals, their messages and steps, and programs."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from actors.paging import Moment, clamp_limit, decode_cursor, page
from actors.referrals.lookups import Lookups
from actors.referrals.message_queries import SELECT_MESSAGES_OF
from actors.referrals.messages import (
    GetProgram,
    GetReferral,
    ListReferrals,
    ListSteps,
    ProgramVersion,
    Referral,
)
from actors.referrals.queries import LIST, SELECT_STEPS
from actors.referrals.records import message_of, referral_of, step_of
from actors.vocabulary import Page, Refusal
from runtime import ActorError, Workers
from runtime.storage import Database, StorageError

NEWEST = (datetime.max.replace(tzinfo=UTC), "~")


class ReferralReaders(Workers):
    """Reads, several at a time, without holding up who writes."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    async def receive(self, message: Any) -> object:
        match message:
            case GetProgram():
                return await self._lookups.program(message.merchant_id)
            case GetReferral():
                return await self._get(message)
            case ListReferrals():
                return await self._list(message)
            case ListSteps():
                values = (message.merchant_id, message.referral_id)
                return tuple(map(step_of, await self._database.fetch(SELECT_STEPS, *values)))
        return await super().receive(message)

    @property
    def _lookups(self) -> Lookups:
        return Lookups(self.system, self._database)

    async def _get(self, message: GetReferral) -> Referral | None:
        values = (message.merchant_id, message.referral_id)
        referral = await self._lookups.referral(*values)
        if referral is None:
            return None
        rows = await self._database.fetch(SELECT_MESSAGES_OF, *values)
        version = ProgramVersion(referral.program_version, referral.program)
        link = await self._lookups.link(message.merchant_id, version, referral.code)
        return referral.view(link, tuple(message_of(row).view() for row in rows))

    async def _list(self, message: ListReferrals) -> Page[Referral] | Refusal:
        limit = clamp_limit(message.limit)
        before = decode_cursor(message.cursor, tuple[Moment, str], NEWEST)
        if isinstance(before, Refusal):
            return before
        conditions, values = _conditions(message)
        rows = await self._database.fetch(
            LIST % conditions, message.merchant_id, *before, limit + 1, *values
        )
        return page(
            rows,
            limit,
            lambda row: referral_of(row).view(None),
            lambda row: [row["created_at"].isoformat(), row["referral_id"]],
        )


def _conditions(message: ListReferrals) -> tuple[str, list[str]]:
    """SQL for what is asked for, from `$5` on, and its values."""
    conditions, values = "", []
    if message.advocate_id is not None:
        values.append(message.advocate_id)
        conditions += f" AND advocate_id = ${4 + len(values)}"
    if message.friend_id is not None:
        values.append(message.friend_id)
        conditions += f" AND friend_id = ${4 + len(values)}"
    if message.state is not None:
        values.append(message.state.value)
        conditions += f" AND state = ${4 + len(values)}"
    if message.in_review:
        conditions += " AND review = 'pending'"
    return conditions, values
