"""The entity that owns what one customer has earned: evaluates, commits, then answers."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar, Final

import attrs

from actors.core.messages import QUERIES as CORE_QUERIES
from actors.core.messages import HasCustomer
from actors.gamification.awarding import Achievement, award_changes
from actors.gamification.engagement import score_of, score_parts
from actors.gamification.enqueueing import QUEUE
from actors.gamification.errors import CommitConflict
from actors.gamification.evaluation import reached, value_now
from actors.gamification.facts import Fact
from actors.gamification.history import NOTHING_CHANGED, Changed, History
from actors.gamification.inside import Forget, MoveTo, Observe, Recompute
from actors.gamification.judging import Bench, Judge, Verdicts, reason_of
from actors.gamification.known_matches import KnownMatches
from actors.gamification.limits import EVENT_LIMIT_S
from actors.gamification.messages import (
    BadgeState,
    Engagement,
    GetEngagement,
    GetProgress,
    PlayerKey,
    ProgressView,
)
from actors.gamification.metrics import gamification_metrics
from actors.gamification.periods import local_day, window_at
from actors.gamification.player_state import Change, PlayerState, entry_of, load_player
from actors.gamification.progress import Measured, progress_of
from actors.gamification.queries import FORGET, MOVE_AWARDS, MOVE_FACTS
from actors.gamification.rulebook import Rulebook, Rules
from actors.gamification.scoring import scores_of
from actors.vocabulary import Refusal, RefusalKind
from runtime import ActorError, Entity
from runtime.context import current_trace_id
from runtime.jobs import JOBS, JobsAdded
from runtime.journal import JOURNAL, Append, Rejected
from runtime.parking import monotonic
from runtime.storage import Database, Entry, StorageError, Write

MAX_ATTEMPTS: Final = 3
"""How often a change is decided anew because the store knew more."""


class Player(Entity):
    """The only writer of its customer's badges, facts and scores.

    What happened and what it earns are one entry: who is told twice of something finds it there,
    and earns nothing again. Nothing is answered before it is durable.
    """

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(
        self,
        database: Database,
        rulebook: Rulebook,
        known: KnownMatches,
        judge: Judge = reached,
    ) -> None:
        self._database = database
        self._rulebook = rulebook
        self._known = known
        self._judge = judge
        self._state: PlayerState | None = None

    @property
    def _key(self) -> PlayerKey:
        key: PlayerKey = self.key
        return key

    @property
    def _bench(self) -> Bench:
        return Bench(self.system, self._known, self._judge)

    async def receive(self, message: Any) -> object:
        match message:
            case Observe():
                await self._observe(message.facts)
            case Recompute():
                return await self._recompute(message)
            case GetProgress():
                return await self._progress()
            case GetEngagement():
                return await self._engagement()
            case MoveTo():
                await self._end(_moves(self._key, message.customer_id))
            case Forget():
                await self._end(())
            case _:
                return await super().receive(message)
        return None

    async def _rules(self) -> Rules:
        return await self._rulebook.of(self.system, self._key.merchant_id)

    async def _loaded(self, rules: Rules) -> PlayerState:
        if self._state is None:
            self._state = await load_player(self._database, self._key, rules)
        history = self._state.history.in_zone(rules.zone)
        if history is not self._state.history:
            self._state = attrs.evolve(self._state, history=history)
        return self._state

    async def _observe(self, facts: Iterable[Fact]) -> None:
        rules = await self._rules()
        if not rules.defined:
            return
        for _ in range(MAX_ATTEMPTS):
            state = await self._loaded(rules)
            history, changed = state.history.with_facts(facts)
            if not changed.facts:
                return
            verdicts = await self._judged(rules.achievements, state, history, changed)
            if await self._commit(rules, state, history, changed, verdicts):
                return
        raise CommitConflict(f"{self.address}: entries were rejected {MAX_ATTEMPTS} times")

    async def _recompute(self, message: Recompute) -> tuple[str, ...]:
        rules = await self._rules()
        if message.reload:
            self._state = None
        one = message.achievement_id
        wanted = [a for a in rules.achievements if one in (None, a.achievement_id)]
        for _ in range(MAX_ATTEMPTS):
            state = await self._loaded(rules)
            verdicts = await self._judged(wanted, state, state.history, None)
            gone = frozenset({one} - {a.achievement_id for a in wanted} - {None})
            if await self._commit(rules, state, state.history, None, verdicts, gone):
                return tuple(verdicts.skipped.values())
        raise CommitConflict(f"{self.address}: entries were rejected {MAX_ATTEMPTS} times")

    async def _judged(
        self,
        achievements: Iterable[Achievement],
        state: PlayerState,
        history: History,
        changed: Changed | None,
    ) -> Verdicts:
        """What was skipped before is evaluated in full, and so is everything when something was
        taken back."""

        def complete(achievement: Achievement) -> bool:
            less = changed is not None and changed.less
            return less or achievement.achievement_id in state.skips

        begun = monotonic()
        days = changed.days if changed is not None else None
        verdicts = await self._bench.judge_all(achievements, history, days, complete)
        metrics = gamification_metrics(self.system.metrics.registry)
        metrics.seconds.observe(monotonic() - begun)
        hits = sum(1 for judged in verdicts.judged if judged.reached)
        misses = len(verdicts.judged) - hits
        metrics.judged(reached=hits, not_reached=misses, skipped=len(verdicts.skipped))
        return verdicts

    async def _commit(
        self,
        rules: Rules,
        state: PlayerState,
        history: History,
        changed: Changed | None,
        verdicts: Verdicts,
        gone: frozenset[str | None] = frozenset(),
    ) -> bool:
        """False when the store holds something that contradicts it; then it is read again.

        `gone` are achievements that are no longer in force.
        """
        now = self.system.clock.now()
        news = changed if changed is not None else NOTHING_CHANGED
        days = news.days if changed is not None else history.all_days()
        change = Change(
            facts=news.facts,
            badges=tuple(award_changes(state.held, verdicts.judged, now)),
            scores=tuple(scores_of(rules.boards, history, days, now)),
            skipped=verdicts.skipped,
            evaluated=frozenset(
                judged.achievement.achievement_id for judged in verdicts.judged if judged.complete
            )
            | {id_ for id_ in gone if id_ is not None},
        )
        entry = entry_of(self.system, self._key, state, change, now, current_trace_id())
        if not await self._written(entry, publishes=bool(change.badges)):
            return False
        self._state = change.after(state, history)
        self._tell(change)
        return True

    async def _written(self, entry: Entry, *, publishes: bool) -> bool:
        """What is in memory counts again when it is known what became of the entry."""
        if not entry:
            return True
        self._state = None
        answer = await self.system.ref(JOURNAL).ask(Append(entry, publishes=publishes))
        return not isinstance(answer, Rejected)

    def _tell(self, change: Change) -> None:
        if change.skipped:
            self.system.ref(JOBS).tell(JobsAdded(QUEUE.name))
        metrics = gamification_metrics(self.system.metrics.registry)
        for badge in change.badges:
            metrics.badges.labels(badge.state.value).inc()

    async def _end(self, moves: Entry) -> None:
        """Nothing is kept of the customer any more but what is moved before."""
        forget = (Write(statement, (*_of(self._key),)) for statement in FORGET)
        if not await self._written((*moves, *forget), publishes=False):
            raise CommitConflict(f"{self.address}: what is kept cannot be moved")

    async def _known_customer(self, state: PlayerState) -> Refusal | None:
        if state.history.facts or state.held:
            return None
        question = HasCustomer(self._key.merchant_id, self._key.customer_id)
        if await self.system.ref(CORE_QUERIES).ask(question):
            return None
        detail = f"there is no customer {self._key.customer_id}"
        return Refusal(RefusalKind.NOT_FOUND, "customer_unknown", detail)

    async def _progress(self) -> ProgressView | Refusal:
        rules = await self._rules()
        state = await self._loaded(rules)
        refusal = await self._known_customer(state)
        if refusal is not None:
            return refusal
        now = self.system.clock.now()
        shown = [
            progress_of(each, state, await self._measured(each, state, rules, now))
            for each in rules.achievements
        ]
        return ProgressView(
            customer_id=self._key.customer_id,
            time_zone=rules.zone.key,
            achievements=tuple(shown),
            badges=len(_awarded_at(state)),
            as_of=now,
        )

    async def _measured(
        self, achievement: Achievement, state: PlayerState, rules: Rules, now: datetime
    ) -> Measured:
        rule, today = achievement.terms.rule, local_day(now, rules.zone)
        window = window_at(rule.window, today)
        try:
            matches = await self._bench.matches(rule, state.history, monotonic() + EVENT_LIMIT_S)
            return Measured(window, value_now(rule, state.history, today, matches), None)
        except Exception as error:
            return Measured(window, None, reason_of(error))

    async def _engagement(self) -> Engagement | Refusal:
        rules = await self._rules()
        state = await self._loaded(rules)
        refusal = await self._known_customer(state)
        if refusal is not None:
            return refusal
        now = self.system.clock.now()
        badge_days = [local_day(at, rules.zone) for at in _awarded_at(state)]
        today = local_day(now, rules.zone)
        parts = score_parts(rules.score, state.history, badge_days, today)
        return Engagement(
            customer_id=self._key.customer_id,
            score=score_of(parts),
            version=rules.score_version,
            parts=parts,
            as_of=now,
        )


def _of(key: PlayerKey) -> tuple[str, str]:
    return key.merchant_id, key.customer_id


def _moves(key: PlayerKey, into: str) -> Entry:
    return tuple(Write(statement, (*_of(key), into)) for statement in (MOVE_FACTS, MOVE_AWARDS))


def _awarded_at(state: PlayerState) -> list[datetime]:
    held = state.held.values()
    return [each.earned_at for each in held if each.state is BadgeState.AWARDED]
