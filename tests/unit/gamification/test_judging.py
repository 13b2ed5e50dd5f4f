"""Judging all rules of an event: within its time, and whatever single rules raise."""

from collections.abc import Sequence
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.gamification.awarding import Achievement
from actors.gamification.evaluation import Reach
from actors.gamification.judging import Bench, Verdicts
from actors.gamification.known_matches import HELD_S, KnownMatches, PatternHeld
from actors.gamification.limits import EVENT_LIMIT_S
from actors.gamification.matching import PATTERNS, Match
from actors.gamification.messages import Metric, Rule
from runtime import Actor, ActorSystem, ChildSpec
from runtime.processes import WorkerEnded
from tests.unit.gamification.examples import achievement, bought, history, on_days
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

ALL = [achievement(name) for name in "abcd"]


async def judged(judge: Any, achievements: Sequence[Achievement] = ALL) -> Verdicts:
    bench = Bench(ActorSystem(), KnownMatches(), judge)
    return await bench.judge_all(achievements, on_days([1]), None, lambda _each: False)


async def test_a_rule_that_raises_costs_the_others_nothing() -> None:
    def judge(rule: Rule, *_rest: object) -> Sequence[Reach]:
        if rule.metric is Metric.SPEND:
            raise LookupError("gone")
        return [Reach("once", 1)]

    spend = achievement("s", Rule(metric=Metric.SPEND, target=1, currency="EUR"))
    verdicts = await judged(judge, [spend, *ALL])
    assert verdicts.skipped == {"s": "LookupError: gone"}
    assert len(verdicts.judged) == len(ALL)


async def test_rules_that_come_too_late_for_their_event_are_skipped() -> None:
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, MockClock)

    def slow(*_arguments: object) -> Sequence[Reach]:
        clock.jump(EVENT_LIMIT_S * 0.6)
        return []

    verdicts = await judged(slow)
    assert [each.achievement.achievement_id for each in verdicts.judged] == ["a", "b"]
    assert verdicts.skipped.keys() == {"c", "d"}


class Spinning(Actor):
    """Ends whatever it is asked, as after the time that a rule has, until it is `tame`."""

    def __init__(self, asked: list[Match]) -> None:
        self._asked = asked

    passes_on = (WorkerEnded,)

    async def receive(self, message: Any) -> object:
        self._asked.append(message)
        if len(self._asked) < 3:
            raise WorkerEnded("it took longer than 200 ms")
        return tuple(sku.startswith("R") for sku in message.skus)


async def test_a_pattern_that_took_too_long_is_left_alone_for_a_while() -> None:
    asked: list[Match] = []
    system, known = ActorSystem(), KnownMatches()
    async with system.run(ChildSpec("root", lambda: Spinning(asked), name=PATTERNS)):
        for pause_s in (HELD_S, 2 * HELD_S):
            with pytest.raises(WorkerEnded):
                await known.of(system, "R+", ["ROSES"])
            with pytest.raises(PatternHeld):
                await known.of(system, "R+", ["ROSES"])
            await trio.sleep(pause_s + 0.1)
        assert await known.of(system, "R+", ["ROSES", "TULIPS"]) == {"ROSES": True, "TULIPS": False}
        assert await known.of(system, "R+", ["TULIPS"])
        assert len(asked) == 3


async def test_patterns_are_asked_for_what_the_customer_bought() -> None:
    asked: list[Match] = []
    system, known = ActorSystem(), KnownMatches()
    asked += [Match("", ())] * 2
    roses = achievement("r", Rule(metric=Metric.ITEMS, target=2, sku_pattern="R+"))
    told = history(bought(1, items=(("ROSES", 2), ("TULIPS", 5))))
    async with system.run(ChildSpec("root", lambda: Spinning(asked), name=PATTERNS)):
        verdicts = await Bench(system, known).judge_all([roses], told, None, lambda _each: False)
    assert [reach.value for reach in verdicts.judged[0].reached] == [2]
    assert asked[-1] == Match("R+", ("ROSES", "TULIPS"))
