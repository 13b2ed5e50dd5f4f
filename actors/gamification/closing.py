"""The job that freezes the cycles of leaderboards: ranks that are kept take the place of scores."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import attrs
import structlog

from actors.gamification.board_queries import (
    DELETE_SCORES,
    DELETE_STANDINGS,
    INSERT_CLOSED,
    INSERT_STANDING,
    LIST_SCORES,
    SELECT_BOARDS,
    SELECT_CLOSED,
    SELECT_CYCLES,
)
from actors.gamification.messages import BoardTerms, CycleState, Kind
from actors.gamification.periods import period_named
from actors.gamification.records import definition_of
from actors.gamification.rulebook import Rulebook
from actors.gamification.scoring import state_of
from runtime.jobs import Job
from runtime.journal import JOURNAL, Append, Rejected
from runtime.storage import Database, Entry, Write
from runtime.system import ActorSystem

log = structlog.get_logger("loyalnest.gamification")

BOARDS_AT_ONCE: Final = 200
CYCLES_AT_ONCE: Final = 200
PLAYERS_AT_ONCE: Final = 500
"""In one transaction: a large leaderboard holds nobody up."""

BEST: Final = (2**62, datetime(1970, 1, 1, tzinfo=UTC), "")

Place = tuple[str, str, str]
"""Merchant, board and cycle."""


@attrs.frozen
class CloseCycles:
    """Freezes what takes no late events any more. Again after a failure, it begins anew with what
    is not closed yet: ranks that nobody has closed are shown to nobody."""

    database: Database
    rulebook: Rulebook

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        merchant_id = board_id = ""
        while True:
            rows = await self.database.fetch(SELECT_BOARDS, merchant_id, board_id, BOARDS_AT_ONCE)
            for row in rows:
                terms = definition_of(Kind.BOARD, row).terms
                if isinstance(terms, BoardTerms) and terms.cycle is not None:
                    await self._close_due(system, row["merchant_id"], row["definition_id"], terms)
            if len(rows) < BOARDS_AT_ONCE:
                return ()
            merchant_id, board_id = rows[-1]["merchant_id"], rows[-1]["definition_id"]

    async def _close_due(
        self, system: ActorSystem, merchant_id: str, board_id: str, terms: BoardTerms
    ) -> None:
        zone = (await self.rulebook.of(system, merchant_id)).zone
        now = system.clock.now()
        rows = await self.database.fetch(SELECT_CYCLES, merchant_id, board_id, CYCLES_AT_ONCE)
        for row in rows:
            period = period_named(terms.cycle, row["cycle"])
            if period is None or state_of(terms, period, zone, now) is not CycleState.CLOSED:
                continue
            place = (merchant_id, board_id, period.name)
            if await self.database.fetch_row(SELECT_CLOSED, *place) is None:
                players = await self._keep_ranks(system, place)
                await self._append(system, [Write(INSERT_CLOSED, (*place, now, players))])
                log.info("leaderboard_closed", board=board_id, cycle=period.name, players=players)
            await self._drop_scores(place)

    async def _keep_ranks(self, system: ActorSystem, place: Place) -> int:
        """The number of players."""
        await self._append(system, [Write(DELETE_STANDINGS, place)])
        rank, after = 0, BEST
        while True:
            rows = await self.database.fetch(LIST_SCORES, *place, *after, PLAYERS_AT_ONCE)
            writes = [
                Write(
                    INSERT_STANDING,
                    (*place, rank + number, row["customer_id"], row["score"], row["reached_at"]),
                )
                for number, row in enumerate(rows, 1)
            ]
            await self._append(system, writes)
            rank += len(rows)
            if len(rows) < PLAYERS_AT_ONCE:
                return rank
            last = rows[-1]
            after = (last["score"], last["reached_at"], last["customer_id"])

    async def _drop_scores(self, place: Place) -> None:
        while len(await self.database.execute(DELETE_SCORES, *place, PLAYERS_AT_ONCE)) == (
            PLAYERS_AT_ONCE
        ):
            pass

    async def _append(self, system: ActorSystem, writes: Iterable[Write]) -> None:
        answer = await system.ref(JOURNAL).ask(Append(tuple(writes)))
        if isinstance(answer, Rejected):
            raise answer.violation
