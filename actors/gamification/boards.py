"""The actor that reads leaderboards and badges, and keeps who wants to be on a leaderboard."""

from datetime import UTC, datetime
from typing import Any, ClassVar, Final

import attrs

from actors.core.messages import QUERIES as CORE_QUERIES
from actors.core.messages import HasCustomer
from actors.gamification.board_queries import (
    COUNT_BETTER,
    COUNT_PLAYERS,
    DELETE_UNLISTED,
    INSERT_UNLISTED,
    LIST_SCORES,
    LIST_STANDINGS,
    SELECT_CLOSED,
    SELECT_SCORE,
    SELECT_STANDING,
    SELECT_UNLISTED,
)
from actors.gamification.messages import (
    Award,
    BoardPage,
    BoardTerms,
    CycleState,
    GetBoard,
    GetListing,
    Kind,
    ListAwards,
    SetListing,
    Standing,
)
from actors.gamification.periods import ALWAYS, Period, day_text, local_day, period_named, period_of
from actors.gamification.queries import LIST_AWARDS, SELECT_DEFINITION
from actors.gamification.records import award_of, definition_of
from actors.gamification.rulebook import Rulebook
from actors.gamification.scoring import state_of
from actors.paging import Moment, SequenceNumber, clamp_limit, decode_cursor, page
from actors.vocabulary import Page, Refusal, RefusalKind
from runtime import ActorError, Workers
from runtime.journal import JOURNAL, Append, Rejected
from runtime.storage import Database, Row, StorageError, Write

NEWEST: Final = (datetime.max.replace(tzinfo=UTC), "", "")
BEST: Final = (0, 2**62, datetime(1970, 1, 1, tzinfo=UTC), "")
"""Rank, score, time and customer before the first."""


@attrs.frozen
class Cycle:
    """One cycle of a board, as it is asked for. `closed` is the row of one that is frozen."""

    message: GetBoard
    terms: BoardTerms
    period: Period
    closed: Row | None

    @property
    def place(self) -> tuple[str, str, str]:
        return self.message.merchant_id, self.message.board_id, self.period.name


class Boards(Workers):
    """Open cycles are ranked when they are read; of closed ones the ranks are kept."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database, rulebook: Rulebook) -> None:
        super().__init__()
        self._database = database
        self._rulebook = rulebook

    async def receive(self, message: Any) -> object:
        match message:
            case GetBoard():
                return await self._board(message)
            case ListAwards():
                return await self._awards(message)
            case GetListing():
                return await self._listed(message.merchant_id, message.customer_id)
            case SetListing():
                return await self._set_listing(message)
        return await super().receive(message)

    async def _board(self, message: GetBoard) -> BoardPage | Refusal:
        merchant_id = message.merchant_id
        row = await self._database.fetch_row(
            SELECT_DEFINITION, merchant_id, Kind.BOARD.value, message.board_id
        )
        if row is None:
            return _not_found("board_unknown", f"there is no leaderboard {message.board_id}")
        terms = definition_of(Kind.BOARD, row).terms
        if not isinstance(terms, BoardTerms):
            raise TypeError(f"{message.board_id} is no leaderboard")
        zone = (await self._rulebook.of(self.system, merchant_id)).zone
        now = self.system.clock.now()
        period = _period(message, terms, local_day(now, zone))
        if period is None:
            return _not_found("cycle_unknown", f"there is no cycle {message.cycle}")
        place = (merchant_id, message.board_id, period.name)
        closed = await self._database.fetch_row(SELECT_CLOSED, *place)
        state = state_of(terms, period, zone, now)
        if closed is None and state is CycleState.CLOSED:
            state = CycleState.CLOSING
        cycle = Cycle(message, terms, period, closed)
        return await self._page(cycle, state if closed is None else CycleState.CLOSED)

    async def _page(self, cycle: Cycle, state: CycleState) -> BoardPage | Refusal:
        terms, period, closed = cycle.terms, cycle.period, cycle.closed
        read = self._running if closed is None else self._frozen
        found = await read(cycle)
        if isinstance(found, Refusal):
            return found
        own = cycle.message.own
        players: int = (
            closed["players"]
            if closed is not None
            else await self._database.fetch_value(COUNT_PLAYERS, *cycle.place)
        )
        bounded = period.name != ALWAYS
        return BoardPage(
            board_id=cycle.message.board_id,
            name=terms.name,
            metric=terms.metric,
            currency=terms.currency,
            cycle=period.name,
            first_day=day_text(period.first) if bounded else None,
            last_day=day_text(period.last) if bounded else None,
            state=state,
            closed_at=closed["closed_at"] if closed is not None else None,
            players=players,
            own=await self._own(cycle, own) if own is not None else None,
            items=found.items,
            next_cursor=found.next_cursor,
        )

    async def _running(self, cycle: Cycle) -> Page[Standing] | Refusal:
        limit = clamp_limit(cycle.message.limit)
        after = _behind(cycle)
        if isinstance(after, Refusal):
            return after
        rank, *behind = after
        rows = await self._database.fetch(LIST_SCORES, *cycle.place, *behind, limit + 1)
        standings = [_ranked(row, rank + number) for number, row in enumerate(rows, 1)]
        return page(standings, limit, lambda standing: standing, _place_of)

    async def _frozen(self, cycle: Cycle) -> Page[Standing] | Refusal:
        limit = clamp_limit(cycle.message.limit)
        after = _behind(cycle)
        if isinstance(after, Refusal):
            return after
        rows = await self._database.fetch(LIST_STANDINGS, *cycle.place, after[0], limit + 1)
        standings = [_ranked(row, row["rank"]) for row in rows]
        return page(standings, limit, lambda standing: standing, _place_of)

    async def _own(self, cycle: Cycle, customer_id: str) -> Standing | None:
        if cycle.closed is not None:
            row = await self._database.fetch_row(SELECT_STANDING, *cycle.place, customer_id)
            return _ranked(row, row["rank"]) if row is not None else None
        row = await self._database.fetch_row(SELECT_SCORE, *cycle.place, customer_id)
        if row is None:
            return None
        values = (row["score"], row["reached_at"], customer_id)
        better: int = await self._database.fetch_value(COUNT_BETTER, *cycle.place, *values)
        return _ranked(row, better + 1)

    async def _awards(self, message: ListAwards) -> Page[Award] | Refusal:
        limit = clamp_limit(message.limit)
        before = decode_cursor(message.cursor, tuple[Moment, str, str], NEWEST)
        if isinstance(before, Refusal):
            return before
        refusal = await self._unknown_customer(message.merchant_id, message.customer_id)
        if refusal is not None:
            return refusal
        values = (message.merchant_id, message.customer_id, *before, limit + 1)
        rows = await self._database.fetch(LIST_AWARDS, *values)
        return page(
            rows,
            limit,
            award_of,
            lambda row: [row["earned_at"].isoformat(), row["badge_id"], row["period"]],
        )

    async def _listed(self, merchant_id: str, customer_id: str) -> bool | Refusal:
        refusal = await self._unknown_customer(merchant_id, customer_id)
        if refusal is not None:
            return refusal
        row = await self._database.fetch_value(SELECT_UNLISTED, merchant_id, customer_id)
        return row is None

    async def _set_listing(self, message: SetListing) -> bool | Refusal:
        of = (message.merchant_id, message.customer_id)
        refusal = await self._unknown_customer(*of)
        if refusal is not None:
            return refusal
        write = (
            Write(DELETE_UNLISTED, of)
            if message.listed
            else Write(INSERT_UNLISTED, (*of, self.system.clock.now()))
        )
        answer = await self.system.ref(JOURNAL).ask(Append((write,)))
        if isinstance(answer, Rejected):
            raise answer.violation
        return message.listed

    async def _unknown_customer(self, merchant_id: str, customer_id: str) -> Refusal | None:
        if await self.system.ref(CORE_QUERIES).ask(HasCustomer(merchant_id, customer_id)):
            return None
        return _not_found("customer_unknown", f"there is no customer {customer_id}")


def _period(message: GetBoard, terms: BoardTerms, today: int) -> Period | None:
    if message.cycle is None:
        return period_of(terms.cycle, today)
    return period_named(terms.cycle, message.cycle)


def _behind(cycle: Cycle) -> tuple[int, int, datetime, str] | Refusal:
    """Where the page begins: rank, score, time and customer of the one before."""
    cursor = cycle.message.cursor
    return decode_cursor(cursor, tuple[SequenceNumber, SequenceNumber, Moment, str], BEST)


def _ranked(row: Row, rank: int) -> Standing:
    return Standing(
        rank=rank,
        customer_id=row["customer_id"],
        score=row["score"],
        reached_at=row["reached_at"],
    )


def _place_of(standing: Standing) -> list[str | int]:
    at = standing.reached_at.isoformat()
    return [standing.rank, standing.score, at, standing.customer_id]


def _not_found(code: str, detail: str) -> Refusal:
    return Refusal(RefusalKind.NOT_FOUND, code, detail)
