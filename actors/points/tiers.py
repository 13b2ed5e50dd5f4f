"""The actor that keeps the tiers of members, and looks at those whose points changed."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

import attrs
import msgspec
import structlog

from actors.admin_features.messages import Flags
from actors.core.messages import MERCHANTS, GetMerchant, HasCustomer
from actors.core.messages import QUERIES as CORE_QUERIES
from actors.paging import SequenceNumber, clamp_limit, decode_cursor, page
from actors.points.features import TIER_SWEEP
from actors.points.tier_messages import (
    TIER_CHANGED,
    GetStanding,
    GetTiers,
    ListTierChanges,
    PutTiers,
    Standing,
    TierChange,
    TierProgram,
    TierTerms,
)
from actors.points.tier_model import (
    MemberTier,
    check_terms,
    evaluate,
)
from actors.points.tier_queries import (
    CHANGE_MEMBER,
    INSERT_CHANGE,
    INSERT_MEMBER,
    INSERT_PROGRAM,
    LIST_CHANGES,
    SELECT_DUE,
    SELECT_MEMBER,
    SELECT_MOVED,
    SELECT_PROGRAM,
    SELECT_PROGRAMS,
)
from actors.points.tier_reading import change_of, find_qualifying, program_of, standing_of
from actors.vocabulary import Page, Refusal, RefusalKind
from runtime import ActorError, Cast, Workers
from runtime.journal import JOURNAL, Append, Rejected
from runtime.outbox import OutboxEvent
from runtime.storage import Database, Row, StorageError, Write
from runtime.storage.outbox import event_write

log = structlog.get_logger("loyalnest.points")

SWEEP_S = 60.0
CHUNK = 200
"""Members, or merchants, that are read together."""

CHUNKS_MAX = 500
"""Of one merchant in one look; the rest waits for the next."""

OVERLAP = timedelta(seconds=10)
"""Transactions are recorded a little before they can be read."""

NO_PROGRAM = TierProgram(0, None)
NEWEST = (2**62,)


@attrs.frozen
class LookForChanges(Cast):
    """To itself."""


class Tiers(Workers):
    """Evaluates a member when asked for, when points of theirs changed (by a look every
    `SWEEP_S`), and once a day where a tier may have to be given up.

    Rows have versions, so that two who evaluate the same member at once write one change.
    """

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database, flags: Flags) -> None:
        super().__init__()
        self._database = database
        self._flags = flags
        self._looked_at: datetime | None = None

    async def started(self) -> None:
        self.timers.start("look", SWEEP_S, LookForChanges(), periodic=True)

    async def receive(self, message: Any) -> object:
        match message:
            case GetTiers():
                return await self._program(message.merchant_id)
            case PutTiers():
                return await self._put(message)
            case GetStanding():
                return await self._standing(message.merchant_id, message.customer_id)
            case ListTierChanges():
                return await self._changes(message)
            case LookForChanges():
                if self._flags.boolean(TIER_SWEEP, True):
                    await self._look(self.system.clock.now())
            case _:
                return await super().receive(message)
        return None

    async def _program(self, merchant_id: str) -> TierProgram:
        row = await self._database.fetch_row(SELECT_PROGRAM, merchant_id)
        return program_of(row["version"], row["program"]) if row is not None else NO_PROGRAM

    async def _put(self, message: PutTiers) -> TierProgram | Refusal:
        merchant_id, terms = message.merchant_id, message.terms
        refusal = check_terms(terms)
        if refusal is not None:
            return refusal
        if await self.system.ref(MERCHANTS).ask(GetMerchant(merchant_id)) is None:
            detail = f"there is no merchant {merchant_id}"
            return Refusal(RefusalKind.NOT_FOUND, "merchant_unknown", detail)
        current = await self._program(merchant_id)
        if current.terms == terms:
            return current
        program = TierProgram(current.version + 1, terms)
        now = self.system.clock.now()
        row = (merchant_id, program.version, msgspec.to_builtins(terms), now)
        answer = await self.system.ref(JOURNAL).ask(Append((Write(INSERT_PROGRAM, row),)))
        if isinstance(answer, Rejected):
            detail = "the tiers were changed by somebody else at the same time"
            return Refusal(RefusalKind.CONFLICT, "tiers_conflict", detail)
        return program

    async def _standing(self, merchant_id: str, customer_id: str) -> Standing | Refusal:
        if not await self.system.ref(CORE_QUERIES).ask(HasCustomer(merchant_id, customer_id)):
            detail = f"there is no customer {customer_id}"
            return Refusal(RefusalKind.NOT_FOUND, "customer_unknown", detail)
        program = await self._program(merchant_id)
        if program.terms is None:
            return Refusal(RefusalKind.NOT_FOUND, "no_tiers", "the merchant has no tiers")
        now = self.system.clock.now()
        member, qualifying = await self._evaluated(
            merchant_id, customer_id, program.version, program.terms, now
        )
        return standing_of(customer_id, program.version, program.terms, member, qualifying, now)

    async def _evaluated(
        self, merchant_id: str, customer_id: str, version: int, terms: TierTerms, now: datetime
    ) -> tuple[MemberTier, int]:
        """The member's tier now, durable, and what counts."""
        row = await self._database.fetch_row(SELECT_MEMBER, merchant_id, customer_id)
        before = MemberTier(*row) if row is not None else None
        qualifying = await find_qualifying(self._database, merchant_id, customer_id, terms, now)
        member = evaluate(terms, before, qualifying, now)
        if before is None and member.tier_id is None:
            return member, qualifying
        if before != member:
            change = TierChange(
                customer_id=customer_id,
                number=member.number,
                from_tier=before.tier_id if before is not None else None,
                to_tier=member.tier_id,
                qualifying=qualifying,
                program_version=version,
                changed_at=now,
            )
            await self._keep(merchant_id, before, member, change)
        return member, qualifying

    async def _keep(
        self, merchant_id: str, before: MemberTier | None, member: MemberTier, change: TierChange
    ) -> None:
        """Where somebody else was faster, theirs stays; the next look sees to the rest."""
        row = (
            merchant_id,
            change.customer_id,
            member.number,
            member.tier_id,
            member.since,
            member.kept_until,
            member.next_check_at,
        )
        writes = [Write(INSERT_MEMBER if before is None else CHANGE_MEMBER, row)]
        changed = before is None or before.number != member.number
        if changed:
            writes += self._change_writes(merchant_id, change)
        await self.system.ref(JOURNAL).ask(Append(tuple(writes), publishes=changed))

    def _change_writes(self, merchant_id: str, change: TierChange) -> tuple[Write, Write]:
        row = (
            merchant_id,
            change.customer_id,
            change.number,
            change.from_tier,
            change.to_tier,
            change.qualifying,
            change.program_version,
            change.changed_at,
        )
        event = OutboxEvent(
            merchant_id=merchant_id,
            event_id=self.system.ids.new("ev"),
            topic=TIER_CHANGED,
            key=change.customer_id,
            payload=msgspec.to_builtins(change),
            created_at=change.changed_at,
        )
        return Write(INSERT_CHANGE, row), event_write(event)

    async def _changes(self, message: ListTierChanges) -> Page[TierChange] | Refusal:
        limit = clamp_limit(message.limit)
        before = decode_cursor(message.cursor, tuple[SequenceNumber], NEWEST)
        if isinstance(before, Refusal):
            return before
        values = (message.merchant_id, message.customer_id, *before, limit + 1)
        rows = await self._database.fetch(LIST_CHANGES, *values)
        return page(rows, limit, change_of, lambda row: [row["version"]])

    async def _look(self, now: datetime) -> None:
        """Evaluate who had something changed since the last look, and who is due.

        After a start, everybody of the last day: that is how often they are looked at anyway.
        """
        since = self._looked_at if self._looked_at is not None else now - timedelta(days=1)
        try:
            after = ""
            while rows := await self._database.fetch(SELECT_PROGRAMS, after, CHUNK):
                for merchant_id, version, program in rows:
                    terms = program_of(version, program).terms
                    if terms is not None:
                        await self._look_at(merchant_id, version, terms, since - OVERLAP, now)
                after = rows[-1][0]
        except (StorageError, ActorError) as error:
            log.warning("tiers_not_looked_at", error=str(error)[:500])
            return
        self._looked_at = now

    async def _look_at(
        self, merchant_id: str, version: int, terms: TierTerms, since: datetime, now: datetime
    ) -> None:
        after = ""
        for _ in range(CHUNKS_MAX):
            moved = await self._database.fetch(SELECT_MOVED, merchant_id, since, after, CHUNK)
            await self._evaluate_all(merchant_id, _ids(moved), version, terms, now)
            if len(moved) < CHUNK:
                break
            after = moved[-1][0]
        for _ in range(CHUNKS_MAX):
            due = await self._database.fetch(SELECT_DUE, merchant_id, now, CHUNK)
            await self._evaluate_all(merchant_id, _ids(due), version, terms, now)
            if len(due) < CHUNK:
                break

    async def _evaluate_all(
        self,
        merchant_id: str,
        customers: Sequence[str],
        version: int,
        terms: TierTerms,
        now: datetime,
    ) -> None:
        for customer_id in customers:
            await self._evaluated(merchant_id, customer_id, version, terms, now)


def _ids(rows: Iterable[Row]) -> list[str]:
    return [row[0] for row in rows]
