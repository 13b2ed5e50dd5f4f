"""The hourly job: what has expired ends, what was overlooked is taken up, what is old goes."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import attrs
import structlog

from actors.core.messages import (
    CONTACTS,
    Channel,
    GetSealingVersion,
    OpenContact,
    SealContact,
    SealedContact,
)
from actors.referrals.caps import day_of
from actors.referrals.message_queries import (
    DELETE_OLD_STATUSES,
    END_MESSAGE,
    RESEAL_MESSAGE,
    SELECT_OLD_SEALS,
    SELECT_QUEUED_OF,
)
from actors.referrals.messages import MessageState, ReferralState
from actors.referrals.model import RANKS
from actors.referrals.queries import (
    DELETE_OLD_COUNTS,
    END,
    INSERT_STEP,
    SELECT_EXPIRED,
    SELECT_OVERDUE,
)
from actors.referrals.queues import reward_job
from runtime.jobs import Job, job_write
from runtime.journal import JOURNAL, Append
from runtime.storage import Database, Entry, Row, Write
from runtime.system import ActorSystem

log = structlog.get_logger("loyalnest.referrals")

AT_ONCE = 200
STEPS_MAX = 100
"""Of each kind in one run; what is left is for the next one."""

STATUSES_KEPT = timedelta(days=60)
COUNTS_KEPT = timedelta(days=8)
OVERDUE = timedelta(minutes=10)
"""A reward that waits so long has lost its job, or somebody has ended it."""

SYSTEM, EXPIRED = "system", "expired"


@attrs.frozen
class ReferralUpkeep:
    """In small steps, each an entry of its own. What somebody changes meanwhile is left alone."""

    database: Database

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        await self._expire(system)
        await self._reseal(system)
        now = system.clock.now()
        await self._delete(DELETE_OLD_STATUSES, now - STATUSES_KEPT)
        await self._delete(DELETE_OLD_COUNTS, day_of(now - COUNTS_KEPT))
        return await self._overdue(system)

    async def _expire(self, system: ActorSystem) -> None:
        for _ in range(STEPS_MAX):
            now = system.clock.now()
            rows = await self.database.fetch(SELECT_EXPIRED, now, AT_ONCE)
            ended = [await self._expired(system, row) for row in rows]
            if len(rows) < AT_ONCE or not any(ended):
                return

    async def _expired(self, system: ActorSystem, row: Row) -> bool:
        key, now = (row["merchant_id"], row["referral_id"]), system.clock.now()
        ended = ReferralState.EXPIRED.value
        writes = [
            Write(END, (*key, row["state"], ended, EXPIRED, now)),
            Write(INSERT_STEP, (*key, ended, now, SYSTEM, None)),
        ]
        failed = MessageState.FAILED
        states = (MessageState.QUEUED.value, failed.value, RANKS[failed], EXPIRED, now)
        queued = await self.database.fetch(SELECT_QUEUED_OF, *key)
        writes += [Write(END_MESSAGE, (key[0], message[0], *states)) for message in queued]
        return await system.ref(JOURNAL).ask(Append(tuple(writes))) is None

    async def _overdue(self, system: ActorSystem) -> Entry:
        """Rewards that are due have a live job; the key of the job says so where there is one."""
        now = system.clock.now()
        rows = await self.database.fetch(SELECT_OVERDUE, now - OVERDUE, AT_ONCE)
        return tuple(
            job_write(
                reward_job(row["merchant_id"], row["referral_id"], now),
                job_id=system.ids.new("job"),
                now=now,
                trace_id=None,
            )
            for row in rows
        )

    async def _reseal(self, system: ActorSystem) -> None:
        """What waits to be sent is sealed again, should the keys have been replaced."""
        for _ in range(STEPS_MAX):
            version = await system.ref(CONTACTS).ask(GetSealingVersion())
            rows = await self.database.fetch(SELECT_OLD_SEALS, version, AT_ONCE)
            writes = [write for row in rows for write in await _resealed(system, row)]
            if not writes:
                return
            await system.ref(JOURNAL).ask(Append(tuple(writes)))

    async def _delete(self, sql: str, before: Any) -> None:
        for _ in range(STEPS_MAX):
            if len(await self.database.execute(sql, before, AT_ONCE)) < AT_ONCE:
                return


async def _resealed(system: ActorSystem, row: Row) -> Sequence[Write]:
    """Nothing of what cannot be read: sending will say so."""
    merchant_id, channel = row["merchant_id"], Channel(row["channel"])
    question = OpenContact(merchant_id, channel, row["sealed"], row["key_version"])
    address = await system.ref(CONTACTS).ask(question)
    if address is None:
        return ()
    sealed = await system.ref(CONTACTS).ask(SealContact(merchant_id, channel, address))
    if not isinstance(sealed, SealedContact):
        return ()
    key = (merchant_id, row["message_id"])
    return (Write(RESEAL_MESSAGE, (*key, sealed.text, sealed.key_version, row["sealed"])),)
