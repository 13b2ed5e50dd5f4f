"""The facts of one customer, and the readings that are made of them when a rule asks for one."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from zoneinfo import ZoneInfo

import attrs

from actors.gamification.facts import Fact, FactKind
from actors.gamification.messages import Metric, Rule
from actors.gamification.periods import local_day
from actors.gamification.readings import Daily, Peaks, Reading, Runs, Sums

FACTS_MAX: Final = 5_000
"""Of one customer, the latest ones: what is older does not count any more."""

Matches = Mapping[str, bool]
"""By article number, whether it matches a pattern."""

NO_MATCHES: Final[Matches] = {}


class NotMatched(Exception):
    """It is not known yet whether an article matches the pattern of a rule."""


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
    _readings: dict[object, Reading] = attrs.field(factory=dict)

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
        after._forget_the_oldest()
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
        if len(self.facts) <= FACTS_MAX:
            return
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
        key = (rule.metric, rule.currency, rule.sku_pattern, rule.grace_days)
        found = self._readings.get(key)
        if found is None:
            found = self._readings[key] = self._read(rule, matches)
        return found

    def _read(self, rule: Rule, matches: Matches) -> Reading:
        match rule.metric:
            case Metric.LARGEST_ORDER:
                return Peaks.of(self._money(rule.currency))
            case Metric.STREAK:
                days = [day for day, _ in self.counting(FactKind.ORDER)]
                return Runs.of(days, rule.grace_days)
            case Metric.ACTIVE_DAYS:
                return Sums.of((day, 1) for day in {d for d, _ in self.counting(FactKind.ORDER)})
        return Sums.of(self._amounts(rule, matches))

    def _amounts(self, rule: Rule, matches: Matches) -> Daily:
        match rule.metric:
            case Metric.ORDERS:
                return ((day, 1) for day, _ in self.counting(FactKind.ORDER))
            case Metric.SPEND:
                return self._money(rule.currency)
            case Metric.ITEMS if rule.sku_pattern is not None:
                return self._matching(matches)
            case Metric.ITEMS:
                return ((day, fact.quantity) for day, fact in self.counting(FactKind.ORDER))
            case Metric.POINTS:
                return ((day, fact.left) for day, fact in self.counting(FactKind.POINTS))
            case Metric.REFERRALS:
                return ((day, 1) for day, _ in self.counting(FactKind.REFERRAL))
        raise ValueError(f"{rule.metric} does not add up")

    def _money(self, currency: str | None) -> Daily:
        orders = self.counting(FactKind.ORDER)
        return ((day, fact.left) for day, fact in orders if fact.currency == currency)

    def _matching(self, matches: Matches) -> Daily:
        for day, fact in self.counting(FactKind.ORDER):
            try:
                quantity = sum(number for sku, number in fact.items if matches[sku])
            except KeyError as error:
                raise NotMatched(f"not known whether {error.args[0]} matches") from None
            if quantity:
                yield day, quantity
