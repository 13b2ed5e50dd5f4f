"""Leaderboards as a pure function of what a customer did: the score in each cycle."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import attrs

from actors.gamification.counting import kind_of
from actors.gamification.history import History
from actors.gamification.messages import BoardTerms, CycleState, Rule
from actors.gamification.periods import Period, ends_at, period_of
from actors.gamification.rulebook import Board

NOTHING_LEFT = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for the time of a score of which everything was taken back."""


@attrs.frozen
class Score:
    """Of one customer in one cycle. `reached_at` is when the last of it happened."""

    board_id: str
    cycle: str
    score: int
    reached_at: datetime


def closes_at(terms: BoardTerms, cycle: Period, zone: ZoneInfo) -> datetime | None:
    """When a cycle is frozen; None for one that never ends."""
    if terms.cycle is None:
        return None
    return ends_at(cycle, zone) + timedelta(hours=terms.closes_after_hours)


def state_of(terms: BoardTerms, cycle: Period, zone: ZoneInfo, now: datetime) -> CycleState:
    """By the clock alone. What is closed has standings when the job has come to it."""
    closes = closes_at(terms, cycle, zone)
    if closes is None or now < ends_at(cycle, zone):
        return CycleState.OPEN
    return CycleState.CLOSING if now < closes else CycleState.CLOSED


def scores_of(
    boards: Iterable[Board], history: History, days: Iterable[int], now: datetime
) -> Iterator[Score]:
    """The scores that something on one of `days` may have changed, of cycles that still count."""
    touched = sorted(days)
    for board in boards:
        terms = board.terms
        cycles = {period_of(terms.cycle, day) for day in touched}
        for cycle in sorted(cycles, key=lambda each: each.first):
            if state_of(terms, cycle, history.zone, now) is not CycleState.CLOSED:
                yield _score(board, cycle, history)


def _score(board: Board, cycle: Period, history: History) -> Score:
    terms = board.terms
    reading = history.reading(Rule(metric=terms.metric, target=1, currency=terms.currency))
    kind = kind_of(terms.metric)
    latest = history.latest(kind, cycle.first, cycle.last)
    score = reading.between(cycle.first, cycle.last)
    return Score(
        board.board_id,
        cycle.name,
        score if latest is not None else 0,
        latest.occurred_at if latest is not None else NOTHING_LEFT,
    )
