"""What evaluating a rule costs for an event, with a year of orders behind the customer."""

from datetime import UTC, datetime, timedelta
from itertools import count
from statistics import median
from time import process_time
from zoneinfo import ZoneInfo

import trio

from actors.gamification.awarding import Achievement
from actors.gamification.facts import Fact, FactKind
from actors.gamification.history import History
from actors.gamification.judging import Bench
from actors.gamification.known_matches import KnownMatches
from actors.gamification.messages import (
    AchievementTerms,
    Calendar,
    Metric,
    Rule,
    Window,
)
from runtime import ActorSystem
from tests.bench.harness import Figure, at_most, garbage_as_in_the_program

ORDERS = 365
EVENTS = 100
ROUNDS = 5
RULE_MAX_US = 50.0
START = datetime(2025, 1, 1, 12, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Zurich")
WINDOWS = (
    Window(),
    Window(rolling_days=30),
    Window(rolling_days=365),
    Window(calendar=Calendar.MONTH),
    Window(calendar=Calendar.YEAR),
)
METRICS = (Metric.ORDERS, Metric.SPEND, Metric.LARGEST_ORDER, Metric.ITEMS, Metric.STREAK)


def judging() -> list[Figure]:
    """The whole of it: the event is taken into the history, and all rules are evaluated."""
    with garbage_as_in_the_program():
        each_us = rule_us()
    return [
        at_most(
            f"a rule evaluated for an event, {ORDERS} orders behind it", each_us, "µs", RULE_MAX_US
        )
    ]


def rule_us() -> float:
    """Microseconds of the processor for one rule and event."""
    return median(trio.run(_round) for _ in range(ROUNDS))


async def _round() -> float:
    bench, rules = Bench(ActorSystem(), KnownMatches()), achievements()
    day = count(ORDERS)
    history = History.of(ZONE, map(order, range(ORDERS)))
    started = process_time()
    for _ in range(EVENTS):
        history, changed = history.with_facts((order(next(day)),))
        verdicts = await bench.judge_all(rules, history, changed.days, lambda _each: False)
        if verdicts.skipped:
            raise AssertionError(verdicts.skipped)
    return (process_time() - started) / EVENTS / len(rules) * 1e6


def achievements() -> list[Achievement]:
    """Every metric over every window."""
    rules = [
        Rule(
            metric=metric,
            target=10**6,
            window=window,
            currency="CHF" if metric in (Metric.SPEND, Metric.LARGEST_ORDER) else None,
        )
        for metric in METRICS
        for window in WINDOWS
    ]
    return [
        Achievement(
            achievement_id=f"a{number}",
            version=1,
            terms=AchievementTerms(name="a", badge_id="b", rule=rule),
        )
        for number, rule in enumerate(rules)
    ]


def order(day: int) -> Fact:
    return Fact(
        fact_id=f"order:{day}",
        kind=FactKind.ORDER,
        occurred_at=START + timedelta(days=day),
        amount=1_000 + day,
        currency="CHF",
        items=(("ROSES-12", 2),),
    )
