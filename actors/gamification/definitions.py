"""The actor that keeps what merchants define: badges, achievements, leaderboards, scores."""

from datetime import datetime
from typing import Any, ClassVar

import msgspec

from actors.core.messages import MERCHANTS, GetMerchant
from actors.gamification.checks import check_definition
from actors.gamification.engagement import BUILT_IN
from actors.gamification.enqueueing import QUEUE, backfill, recomputation
from actors.gamification.messages import (
    MAX_DEFINITIONS,
    SCORE,
    AchievementTerms,
    BoardTerms,
    Definition,
    GetDefinition,
    Kind,
    ListDefinitions,
    Metric,
    PutDefinition,
    Terms,
)
from actors.gamification.queries import (
    COUNT_DEFINITIONS,
    HAS_DEFINITIONS,
    INSERT_DEFINITION,
    LIST_DEFINITIONS,
    SELECT_DEFINITION,
)
from actors.gamification.records import definition_of, kind_of
from actors.gamification.rulebook import Rulebook
from actors.paging import clamp_limit, decode_cursor, page
from actors.points.messages import FOLLOWING, FollowPoints
from actors.vocabulary import Page, Refusal, RefusalKind
from runtime import ActorError, Workers
from runtime.context import current_trace_id
from runtime.jobs import JOBS, JobsAdded, NewJob, job_write
from runtime.journal import JOURNAL, Append, Rejected
from runtime.storage import Database, StorageError, Write


class Definitions(Workers):
    """Versions are only ever added; the primary key keeps two who change the same at once apart."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database, rulebook: Rulebook) -> None:
        super().__init__()
        self._database = database
        self._rulebook = rulebook

    async def receive(self, message: Any) -> object:
        match message:
            case GetDefinition():
                return await self._get(message.merchant_id, message.kind, message.definition_id)
            case ListDefinitions():
                return await self._list(message)
            case PutDefinition():
                return await self._put(message)
        return await super().receive(message)

    async def _get(self, merchant_id: str, kind: Kind, definition_id: str) -> Definition | None:
        row = await self._database.fetch_row(
            SELECT_DEFINITION, merchant_id, kind.value, definition_id
        )
        if row is not None:
            return definition_of(kind, row)
        built_in = kind is Kind.SCORE and definition_id == SCORE
        return Definition(definition_id=SCORE, version=0, terms=BUILT_IN) if built_in else None

    async def _list(self, message: ListDefinitions) -> Page[Definition] | Refusal:
        limit = clamp_limit(message.limit)
        after = decode_cursor(message.cursor, tuple[str], ("",))
        if isinstance(after, Refusal):
            return after
        values = (message.merchant_id, message.kind.value, *after, limit + 1)
        rows = await self._database.fetch(LIST_DEFINITIONS, *values)
        return page(
            rows,
            limit,
            lambda row: definition_of(message.kind, row),
            lambda row: [row["definition_id"]],
        )

    async def _put(self, message: PutDefinition) -> Definition | Refusal:
        merchant_id, definition_id, terms = (
            message.merchant_id,
            message.definition_id,
            message.terms,
        )
        kind = kind_of(terms)
        current = await self._get(merchant_id, kind, definition_id)
        refusal = check_definition(definition_id, terms) or await self._refuse(message, current)
        if refusal is not None:
            return refusal
        if current is not None and current.terms == terms and current.version:
            return current
        if _counts_points(terms):
            await self.system.ref(FOLLOWING).ask(FollowPoints(merchant_id))
        now = self.system.clock.now()
        version = current.version + 1 if current is not None else 1
        definition = Definition(
            definition_id=definition_id, version=version, terms=terms, changed_at=now
        )
        if await self._written(merchant_id, kind, definition, now):
            return definition
        detail = "it was changed by somebody else at the same time"
        return Refusal(RefusalKind.CONFLICT, "definition_conflict", detail)

    async def _refuse(self, message: PutDefinition, current: Definition | None) -> Refusal | None:
        """Why the terms do not fit what is there."""
        merchant_id, terms = message.merchant_id, message.terms
        if await self.system.ref(MERCHANTS).ask(GetMerchant(merchant_id)) is None:
            detail = f"there is no merchant {merchant_id}"
            return Refusal(RefusalKind.NOT_FOUND, "merchant_unknown", detail)
        if isinstance(terms, AchievementTerms):
            badge = await self._get(merchant_id, Kind.BADGE, terms.badge_id)
            if badge is None:
                detail = f"there is no badge {terms.badge_id}"
                return Refusal(RefusalKind.NOT_FOUND, "badge_unknown", detail)
        if current is None:
            count = await self._database.fetch_value(
                COUNT_DEFINITIONS, merchant_id, kind_of(terms).value
            )
            if count >= MAX_DEFINITIONS:
                detail = f"a merchant has at most {MAX_DEFINITIONS} of a kind"
                return Refusal(RefusalKind.CONFLICT, "too_many_definitions", detail)
        return None

    async def _written(
        self, merchant_id: str, kind: Kind, definition: Definition, now: datetime
    ) -> bool:
        row = (
            merchant_id,
            kind.value,
            definition.definition_id,
            definition.version,
            msgspec.to_builtins(definition.terms),
            now,
        )
        job = await self._follow_up(merchant_id, kind, definition, now)
        writes = [Write(INSERT_DEFINITION, row)]
        if job is not None:
            job_id = self.system.ids.new("job")
            writes.append(job_write(job, job_id=job_id, now=now, trace_id=current_trace_id()))
        try:
            answer = await self.system.ref(JOURNAL).ask(Append(tuple(writes)))
        finally:
            self._rulebook.forget(merchant_id)
        if job is not None:
            self.system.ref(JOBS).tell(JobsAdded(QUEUE.name))
        return not isinstance(answer, Rejected)

    async def _follow_up(
        self, merchant_id: str, kind: Kind, definition: Definition, now: datetime
    ) -> NewJob | None:
        """What happened before is looked at as well: by the merchant's first definition orders are
        taken in, by others what is known of the players."""
        if await self._database.fetch_value(HAS_DEFINITIONS, merchant_id) is None:
            return backfill(merchant_id, now)
        if kind is Kind.SCORE:
            return None
        return recomputation(merchant_id, kind, definition.definition_id, definition.version, now)


def _counts_points(terms: Terms) -> bool:
    match terms:
        case AchievementTerms():
            return terms.rule.metric is Metric.POINTS
        case BoardTerms():
            return terms.metric is Metric.POINTS
    return False
