"""The actor that reads runs and segments: published ones only, and each page from one run."""

from typing import Any, ClassVar

from actors.core.messages import QUERIES as CORE_QUERIES
from actors.core.messages import HasCustomer
from actors.paging import INVALID_CURSOR, SequenceNumber, clamp_limit, decode_cursor, page
from actors.rfm_analytics.messages import (
    HISTORY_SHOWN,
    MEMBERS_MAX,
    PROSPECT,
    CustomerRfm,
    GetConfig,
    GetCustomerRfm,
    GetNewestRun,
    GetRun,
    GetSegments,
    ListMembers,
    ListRuns,
    ListSegmentCustomers,
    Members,
    Preview,
    PreviewTerms,
    RfmTerms,
    Run,
    RunState,
    SegmentMembers,
    Segments,
    SegmentSummary,
)
from actors.rfm_analytics.model import check_terms, names_of, summaries, unmatched
from actors.rfm_analytics.queries import (
    LIST_HISTORY,
    LIST_IDS_OF_SEGMENT,
    LIST_OF_SEGMENT,
    LIST_RUNS,
    SELECT_CELLS,
    SELECT_SCORES,
)
from actors.rfm_analytics.records import (
    Kept,
    StoredRun,
    cells_of,
    find_config,
    find_run,
    history_of,
    newest_of,
    newest_run,
    numbered_run,
    run_of,
    scores_of,
)
from actors.vocabulary import Page, Refusal, RefusalKind
from runtime import ActorError, Workers
from runtime.storage import Database, StorageError

LAST_NUMBER = 2**62

RUN_UNKNOWN = Refusal(RefusalKind.NOT_FOUND, "run_unknown", "there is no such published run")
RUN_NOT_KEPT = Refusal(
    RefusalKind.CONFLICT, "run_not_kept", "the customers of this run are not kept any more"
)
NO_SEGMENTS_YET = Refusal(
    RefusalKind.CONFLICT, "no_segments_yet", "no run has been published so far"
)


class RfmReaders(Workers):
    """Reads, several at a time. Nothing here scores anybody."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    async def receive(self, message: Any) -> object:
        match message:
            case GetConfig(merchant_id):
                return await find_config(self._database, merchant_id)
            case GetRun(merchant_id, run_id):
                stored = await find_run(self._database, merchant_id, run_id)
                return stored.run if stored is not None else None
            case ListRuns():
                return await self._runs(message)
            case GetSegments():
                return await self._segments(message)
            case ListSegmentCustomers():
                return await self._customers(message)
            case GetCustomerRfm():
                return await self._customer(message)
            case PreviewTerms():
                return await self._preview(message)
            case GetNewestRun(merchant_id):
                return newest_of(await newest_run(self._database, merchant_id))
            case ListMembers():
                return await self._members(message)
        return await super().receive(message)

    async def _runs(self, message: ListRuns) -> Page[Run] | Refusal:
        limit = clamp_limit(message.limit)
        before = decode_cursor(message.cursor, tuple[SequenceNumber], (LAST_NUMBER,))
        if isinstance(before, Refusal):
            return before
        rows = await self._database.fetch(LIST_RUNS, message.merchant_id, *before, limit + 1)
        return page(rows, limit, lambda row: run_of(row).run, lambda row: [row["number"]])

    async def _published(self, merchant_id: str, run_id: str | None) -> StoredRun | Refusal | None:
        """The run named, else the newest; None where there is none so far."""
        if run_id is None:
            return await newest_run(self._database, merchant_id)
        stored = await find_run(self._database, merchant_id, run_id)
        return _kept(stored)

    async def _segments(self, message: GetSegments) -> Segments | Refusal:
        stored = await self._published(message.merchant_id, message.run_id)
        if isinstance(stored, Refusal):
            return stored
        if stored is None:
            terms = (await find_config(self._database, message.merchant_id)).terms
            return Segments(None, None, None, None, 0, summaries(terms.rules, {}, 0))
        told = await self._summaries(message.merchant_id, stored, stored.terms)
        run = stored.run
        return Segments(run.run_id, run.as_of, run.published_at, run.currency, run.customers, told)

    async def _summaries(
        self, merchant_id: str, stored: StoredRun, terms: RfmTerms
    ) -> tuple[SegmentSummary, ...]:
        """What the segments of `terms` would have been in the run."""
        values = (merchant_id, stored.number, terms.scoring.value)
        cells = cells_of(await self._database.fetch(SELECT_CELLS, *values))
        prospects = stored.run.customers - stored.run.scored
        return summaries(terms.rules, cells, prospects)

    async def _customers(self, message: ListSegmentCustomers) -> SegmentMembers | Refusal:
        """The cursor names the run, so that all pages are of the same one."""
        merchant_id, limit = message.merchant_id, clamp_limit(message.limit)
        pinned = decode_cursor(message.cursor, tuple[SequenceNumber, str], (0, ""))
        if isinstance(pinned, Refusal):
            return pinned
        number, after = pinned
        stored: StoredRun | Refusal | None
        if number:
            stored = _kept(await numbered_run(self._database, merchant_id, number))
        else:
            stored = await self._published(merchant_id, message.run_id)
        if isinstance(stored, Refusal):
            return stored
        if stored is not None and message.run_id not in (None, stored.run.run_id):
            return INVALID_CURSOR
        terms = stored.terms if stored else (await find_config(self._database, merchant_id)).terms
        if message.segment not in (*names_of(terms.rules), PROSPECT):
            detail = f"there is no segment {message.segment[:64]}"
            return Refusal(RefusalKind.NOT_FOUND, "segment_unknown", detail)
        if stored is None:
            return SegmentMembers(None, None, (), None)
        values = (merchant_id, stored.number, message.segment, after, limit + 1)
        rows = await self._database.fetch(LIST_OF_SEGMENT, *values)
        shown = page(rows, limit, scores_of, lambda row: [stored.number, row["customer_id"]])
        run = stored.run
        return SegmentMembers(run.run_id, run.as_of, shown.items, shown.next_cursor)

    async def _customer(self, message: GetCustomerRfm) -> CustomerRfm | Refusal:
        merchant_id, customer_id = message.merchant_id, message.customer_id
        stored = await newest_run(self._database, merchant_id)
        number = stored.number if stored is not None else 0
        found, history = await self._database.fetch_many(
            [
                (SELECT_SCORES, (merchant_id, number, customer_id)),
                (LIST_HISTORY, (merchant_id, customer_id, number, HISTORY_SHOWN)),
            ]
        )
        if stored is None or not found:
            return await self._not_scored(merchant_id, customer_id)
        scores, run = scores_of(found[0]), stored.run
        return CustomerRfm(
            run_id=run.run_id,
            as_of=run.as_of,
            currency=run.currency,
            scoring=run.scoring,
            scores=scores,
            matched=stored.terms.rules[scores.rule - 1] if scores.rule is not None else None,
            history=tuple(map(history_of, history)),
        )

    async def _not_scored(self, merchant_id: str, customer_id: str) -> Refusal:
        if await self.system.ref(CORE_QUERIES).ask(HasCustomer(merchant_id, customer_id)):
            detail = f"customer {customer_id} was not there at the last run"
            return Refusal(RefusalKind.NOT_FOUND, "customer_not_scored", detail)
        detail = f"there is no customer {customer_id}"
        return Refusal(RefusalKind.NOT_FOUND, "customer_unknown", detail)

    async def _preview(self, message: PreviewTerms) -> Preview | Refusal:
        merchant_id, terms = message.merchant_id, message.terms
        refusal = check_terms(terms)
        if refusal is not None:
            return refusal
        stored = await newest_run(self._database, merchant_id)
        if stored is None:
            return NO_SEGMENTS_YET
        run = stored.run
        if terms.currency not in (None, run.currency):
            detail = f"the newest run is in {run.currency}: another currency needs a run of its own"
            return Refusal(RefusalKind.CONFLICT, "currency_conflict", detail)
        return Preview(
            run_id=run.run_id,
            as_of=run.as_of,
            scoring=terms.scoring,
            segments=await self._summaries(merchant_id, stored, terms),
            now=await self._summaries(merchant_id, stored, stored.terms),
            unmatched_rules=unmatched(terms.rules),
        )

    async def _members(self, message: ListMembers) -> Members | Refusal:
        stored = _kept(await find_run(self._database, message.merchant_id, message.run_id))
        if isinstance(stored, Refusal):
            return stored
        limit = max(1, min(message.limit, MEMBERS_MAX))
        values = (message.merchant_id, stored.number, message.segment, message.after, limit + 1)
        rows = await self._database.fetch(LIST_IDS_OF_SEGMENT, *values)
        ids = tuple(row[0] for row in rows[:limit])
        return Members(ids, ids[-1] if len(rows) > limit else None)


def _kept(stored: StoredRun | None) -> StoredRun | Refusal:
    if stored is None or stored.run.state is not RunState.PUBLISHED:
        return RUN_UNKNOWN
    return stored if stored.kept is Kept.ALL else RUN_NOT_KEPT
