"""Simplifying: Hypothesis makes the values of what fails as simple as they can be.

It shrinks what it has drawn itself, by making the integers smaller of which it was drawn. So one
way to draw is as it was: from integers that have no choice. What comes of that fails, Hypothesis
takes it from there, and finds that the same integers may be drawn where there is a choice, and
then smaller ones. How often anything runs is decided by the trials.

For where Hypothesis is installed; `runtime.sim.shrinking` does without it as well.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import attrs
from hypothesis import Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from runtime.ports import seeded_random
from runtime.sim.changes import changed, changes_between
from runtime.sim.faults import LASTS_MIN_S, Event, Trouble
from runtime.sim.redrawing import FRACTIONS, Choose, ChosenRandom, given_for_steps
from runtime.sim.running import Script
from runtime.sim.scenario import Scenario, Step
from runtime.sim.selection import Part, Selection
from runtime.sim.trials import Trials

Item = TypeVar("Item")

Draws = Callable[[Choose], Any]

DRAWS_MAX = 100
"""Every second one is what failed, and with the first of those the drawing ends."""


class Enough(BaseException):
    """Ends the search. What is no `Exception` ends Hypothesis, which shrinks any other."""


@attrs.frozen
class Drawn:
    """A selection, or None for what no command could name, and of what integers it was drawn: the
    fewer and smaller, the simpler."""

    selection: Selection | None
    integers: tuple[int, ...]

    def is_simpler(self, than: "Drawn") -> bool:
        mine, theirs = self.integers, than.integers
        return (len(mine), mine) < (len(theirs), theirs)


def simplest(trials: Trials, failing: Selection) -> Selection:
    """What is left of `failing`: of its parts as few, with values as simple as still make it fail,
    as far as the budget of the trials goes. The same each time."""
    best: Drawn | None = None

    def fails(drawn: Drawn) -> bool:
        nonlocal best
        if drawn.selection is None or (best is None and drawn.selection != failing):
            return False
        if not trials.fail(drawn.selection):
            if trials.are_over:
                raise Enough
            return False
        if best is None or drawn.is_simpler(best):
            best = drawn
        return True

    with suppress(NoSuchExample, Enough):
        find(
            Variations(trials.scenario, trials.failed.script, failing).drawn(),
            fails,
            settings=settings(
                database=None,
                deadline=None,
                max_examples=DRAWS_MAX,
                phases=(Phase.generate, Phase.shrink),
            ),
            random=seeded_random("simplest"),
        )
    return failing if best is None or best.selection is None else best.selection


class Variations:
    """Selections that have no more parts than `failing`, and other values."""

    def __init__(self, scenario: type[Scenario], script: Script, failing: Selection) -> None:
        self._scenario, self._script, self._failing = scenario(), script, failing
        self._given = given_for_steps(scenario, script)

    def drawn(self) -> st.SearchStrategy[Drawn]:
        """The strategy. Half of what it draws is what failed."""

        @st.composite
        def together(draw: st.DrawFn, what: Draws, integers: list[int], as_it_was: bool) -> Any:
            """What Hypothesis tries to make simple together."""

            def choose(most: int, was: int) -> int:
                chosen = draw(st.integers(was, was) if as_it_was else st.integers(0, most))
                integers.append(chosen)
                return chosen

            return what(choose)

        @st.composite
        def selections(draw: st.DrawFn) -> Drawn:
            as_it_was = draw(st.booleans())
            integers = [int(as_it_was)]

            def each(what: Callable[[Item, Choose], Any], items: Sequence[Item]) -> dict[Item, Any]:
                return {
                    item: draw(together(partial(what, item), integers, as_it_was)) for item in items
                }

            kept = draw(together(self._kept, integers, as_it_was))
            steps = each(self._step, self._failing.steps)
            events = each(self._event, self._failing.events)
            chances = each(self._chance, self._failing.chances)
            return Drawn(self._selection(kept, steps, events, chances), tuple(integers))

        return selections()

    def _kept(self, choose: Choose) -> list[Part]:
        return [part for part in self._failing.parts() if choose(1, 1)]

    def _step(self, number: int, choose: Choose) -> Step:
        step, given = self._script.steps[number], self._given[number]
        return step if given is None else self._scenario.step(ChosenRandom(choose, given))

    def _event(self, number: int, choose: Choose) -> Event:
        event = self._script.plan.events[number]
        at_s = _part_of(event.at_s, choose)
        amount = event.amount
        if event.trouble is Trouble.CLOCK_JUMP:
            amount = _part_of(amount, choose)
        duration_s = event.duration_s and max(LASTS_MIN_S, _part_of(event.duration_s, choose))
        return attrs.evolve(event, at_s=at_s, amount=amount, duration_s=duration_s)

    def _chance(self, name: str, choose: Choose) -> float:
        return _part_of(getattr(self._script.plan.chances, name), choose)

    def _selection(
        self,
        kept: Sequence[Part],
        steps: Mapping[int, Step],
        events: Mapping[int, Event],
        chances: Mapping[str, float],
    ) -> Selection | None:
        """What makes these parts of the script, if it can be told in words."""
        script, plan = self._script, self._script.plan
        likely = {name for name, chance in chances.items() if chance}
        parts = Selection.of_parts([p for p in kept if not isinstance(p, str) or p in likely])
        varied = attrs.evolve(
            script,
            steps=_replaced(script.steps, steps, parts.steps),
            plan=attrs.evolve(
                plan,
                chances=attrs.evolve(plan.chances, **{n: chances[n] for n in parts.chances}),
                events=_replaced(plan.events, events, parts.events),
            ),
        )
        selection = attrs.evolve(parts, changes=changes_between(script, varied))
        return selection if changed(script, selection.changes) == varied else None


def _part_of(number: float, choose: Choose) -> float:
    chosen = choose(FRACTIONS, FRACTIONS)
    return number if chosen >= FRACTIONS else round(number * chosen / FRACTIONS, 4)


def _replaced(
    all_of_them: Sequence[Item], some: Mapping[int, Item], numbers: Sequence[int]
) -> tuple[Item, ...]:
    return tuple(some[n] if n in numbers else item for n, item in enumerate(all_of_them))
