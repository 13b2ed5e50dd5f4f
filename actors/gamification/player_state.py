"""What a player keeps in memory of its customer, and what is written when that changes."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

import attrs
import msgspec

from actors.gamification.awarding import BadgeKey, Held
from actors.gamification.enqueueing import reevaluation
from actors.gamification.facts import Fact
from actors.gamification.history import FACTS_MAX, History
from actors.gamification.messages import BADGE_CHANGED, BadgeChange, PlayerKey
from actors.gamification.queries import (
    DELETE_SKIP,
    PUT_SCORE,
    PUT_SKIP,
    SELECT_AWARDS,
    SELECT_FACTS,
    SELECT_SKIPS,
)
from actors.gamification.records import award_write, fact_of, fact_write, held_of
from actors.gamification.rulebook import Rules
from actors.gamification.scoring import Score
from runtime.jobs import job_write
from runtime.outbox import OutboxEvent
from runtime.storage import Database, Entry, Write
from runtime.storage.outbox import event_write
from runtime.system import ActorSystem

AWARDS_MAX = 10_000
"""Of one customer: the latest."""


@attrs.frozen(kw_only=True)
class PlayerState:
    """`skips` has reasons by achievement."""

    history: History
    held: Mapping[BadgeKey, Held]
    skips: Mapping[str, str]


async def load_player(database: Database, key: PlayerKey, rules: Rules) -> PlayerState:
    """Raises `StorageError`."""
    of = (key.merchant_id, key.customer_id)
    facts, awards, skips = await database.fetch_many(
        [
            (SELECT_FACTS, (*of, FACTS_MAX)),
            (SELECT_AWARDS, (*of, AWARDS_MAX)),
            (SELECT_SKIPS, of),
        ]
    )
    held = [held_of(row) for row in awards]
    return PlayerState(
        history=History.of(rules.zone, map(fact_of, facts)),
        held={each.key: each for each in held},
        skips={row["achievement_id"]: row["reason"] for row in skips},
    )


@attrs.frozen(kw_only=True)
class Change:
    """What a player is about to write. `evaluated` are achievements whose rules were evaluated in
    full, `skipped` has the reasons of those that were not evaluated."""

    facts: tuple[Fact, ...]
    badges: tuple[Held, ...]
    scores: tuple[Score, ...]
    skipped: Mapping[str, str]
    evaluated: frozenset[str]

    def after(self, state: PlayerState, history: History) -> PlayerState:
        """The state when it is durable."""
        held = {**state.held, **{badge.key: badge for badge in self.badges}}
        skips = {id_: why for id_, why in state.skips.items() if id_ not in self.evaluated}
        return PlayerState(history=history, held=held, skips={**skips, **self.skipped})


def entry_of(
    system: ActorSystem,
    key: PlayerKey,
    state: PlayerState,
    change: Change,
    now: datetime,
    trace_id: str | None,
) -> Entry:
    """Everything that belongs to a change, to be written together."""
    of = (key.merchant_id, key.customer_id)
    writes = [fact_write(*of, fact) for fact in change.facts]
    for badge in change.badges:
        writes.append(award_write(*of, badge))
        writes.append(event_write(_event(system, key, badge, now)))
    writes += _score_writes(key, change.scores)
    for achievement_id, reason in change.skipped.items():
        writes.append(Write(PUT_SKIP, (*of, achievement_id, reason, now)))
        again = reevaluation(*of, achievement_id)
        job_id = system.ids.new("job")
        writes.append(job_write(again, job_id=job_id, now=now, trace_id=trace_id))
    writes += [Write(DELETE_SKIP, (*of, id_)) for id_ in _cleared(state, change)]
    return tuple(writes)


def _cleared(state: PlayerState, change: Change) -> Iterable[str]:
    return sorted(state.skips.keys() & change.evaluated)


def _score_writes(key: PlayerKey, scores: Iterable[Score]) -> Iterator[Write]:
    for score in scores:
        place = (key.merchant_id, score.board_id, score.cycle, key.customer_id)
        yield Write(PUT_SCORE, (*place, score.score, score.reached_at))


def _event(system: ActorSystem, key: PlayerKey, badge: Held, now: datetime) -> OutboxEvent:
    change = BadgeChange(
        customer_id=key.customer_id,
        badge_id=badge.badge_id,
        period=badge.period,
        state=badge.state,
        achievement_id=badge.achievement_id,
        number=badge.number,
        changed_at=now,
    )
    return OutboxEvent(
        merchant_id=key.merchant_id,
        event_id=system.ids.new("ev"),
        topic=BADGE_CHANGED,
        key=key.customer_id,
        payload=msgspec.to_builtins(change),
        created_at=now,
    )
