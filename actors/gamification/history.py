"""The facts of one customer, and the readings that are made of them when a rule asks for one."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from zoneinfo import ZoneInfo

import attrs

from actors.gamification.counting import (
    NO_MATCHES,
    Counted,
    Matches,
    counted_by,
    kind_of,
    reading_of,
    with_fact,
)
from actors.gamification.facts import Fact, FactKind
from actors.gamification.messages import Rule
from actors.gamification.periods import local_day
from actors.gamification.readings import Reading

FACTS_MAX: Final = 5_000
"""Of one customer, the latest ones: what is older does not count any more."""


@attrs.frozen
class Changed:
    """What new facts did to a history: those that are to be written, the days they are on, and
    whether something became less."""

    facts: tuple[Fact, ...]
    days: frozenset[int]
    less: bool


NOTHING_CHANGED: Final = Changed((), frozenset(), less=False)


@attrs.define(eq=False)
class History:
    """Facts by their ids, and their days in one time zone. Readings are kept until facts change."""

    zone: ZoneInfo
    facts: dict[str, Fact] = attrs.field(factory=dict)
    _days: dict[str, int] = attrs.field(factory=dict)
    _readings: dict[Counted, Reading] = attrs.field(factory=dict)

    @staticmethod
    def of(zone: ZoneInfo, facts: Iterable[Fact]) -> "History":
        history = History(zone)
        for fact in facts:
            history._put(fact)
        return history

    def in_zone(self, zone: ZoneInfo) -> "History":
        """The same facts on the days of another zone."""
        return self if zone == self.zone else History.of(zone, self.facts.values())

    def with_facts(self, told: Iterable[Fact]) -> tuple["History", Changed]:
        """A history that knows these as well, and what is new about it."""
        changed: dict[str, Fact] = {}
        less = False
        for fact in filter(None, (self._placed(each, changed) for each in told)):
            known = changed.get(fact.fact_id) or self.facts.get(fact.fact_id)
            merged = known.merged(fact) if known is not None else fact
            if merged is not known:
                changed[fact.fact_id] = merged
                less = less or known is not None or merged.left < 0
        if not changed:
            return self, NOTHING_CHANGED
        after = History(self.zone, dict(self.facts), dict(self._days))
        for fact in changed.values():
            after._put(fact)
        days = frozenset(after._days[fact_id] for fact_id in changed)
        if len(after.facts) > FACTS_MAX:
            after._forget_the_oldest()
        else:
            after._read_on(self, changed)
        return after, Changed(tuple(changed.values()), days, less)

    def _placed(self, fact: Fact, changed: Mapping[str, Fact]) -> Fact | None:
        """At the time of what it corrects; None where that does not count here."""
        if fact.corrects is None:
            return fact
        corrected = changed.get(fact.corrects) or self.facts.get(fact.corrects)
        if corrected is None:
            return None
        return attrs.evolve(fact, occurred_at=corrected.occurred_at, corrects=None)

    def _put(self, fact: Fact) -> None:
        self.facts[fact.fact_id] = fact
        self._days[fact.fact_id] = local_day(fact.occurred_at, self.zone)

    def _forget_the_oldest(self) -> None:
        oldest = sorted(self.facts.values(), key=lambda fact: (fact.occurred_at, fact.fact_id))
        for fact in oldest[: len(self.facts) - FACTS_MAX]:
            del self.facts[fact.fact_id], self._days[fact.fact_id]

    def all_days(self) -> frozenset[int]:
        """The days of all facts, of void ones too."""
        return frozenset(self._days.values())

    def counting(self, kind: FactKind) -> Iterator[tuple[int, Fact]]:
        """Facts of a kind that count, and their days."""
        days = self._days
        for fact_id, fact in self.facts.items():
            if fact.kind is kind and not fact.void:
                yield days[fact_id], fact

    def latest(self, kind: FactKind, first: int, last: int) -> Fact | None:
        """The one that happened last in a span of days."""
        inside = [fact for day, fact in self.counting(kind) if first <= day <= last]
        return max(inside, key=lambda fact: (fact.occurred_at, fact.fact_id), default=None)

    def skus(self) -> frozenset[str]:
        """The articles of all orders."""
        orders = self.counting(FactKind.ORDER)
        return frozenset(sku for _, fact in orders for sku, _ in fact.items)

    def reading(self, rule: Rule, matches: Matches = NO_MATCHES) -> Reading:
        """What the rule's metric reads. Raises `NotMatched` where `matches` lacks an article."""
        counted = counted_by(rule)
        found = self._readings.get(counted)
        if found is None:
            dated = self.counting(kind_of(rule.metric))
            found = self._readings[counted] = reading_of(counted, dated, matches)
        return found

    def _read_on(self, before: "History", changed: Mapping[str, Fact]) -> None:
        """Keep the readings that only have to be lengthened."""
        if any(fact_id in before.facts for fact_id in changed):
            return
        news = sorted((self._days[fact_id], fact_id) for fact_id in changed)
        for counted, known in before._readings.items():
            reading: Reading | None = known
            for day, fact_id in news:
                if reading is not None:
                    reading = with_fact(counted, reading, day, changed[fact_id])
            if reading is not None:
                self._readings[counted] = reading
