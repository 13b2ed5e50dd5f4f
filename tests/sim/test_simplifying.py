"""Hypothesis makes what is left of a failing run simple: in few runs, and the same each time."""

from typing import Any

import attrs
import pytest

import actors.points.account
import actors.points.records
from actors.points.queries import INSERT_LOT
from runtime.sim import (
    Operation,
    Outcome,
    Run,
    Scenario,
    Script,
    Shrunk,
    run_script,
    run_seed,
    script_of,
    shrink,
    shrinking,
    trials,
)
from runtime.sim.faults import LASTS_MIN_S
from runtime.sim.redrawing import ChosenRandom, given_for_steps
from runtime.storage import Write
from supervisors.simulation.points import Mutate, PointsScenario
from supervisors.simulation.registry import SCENARIOS
from tests.sim.tills import MOST, RICH, TOO_MUCH, FaultyTillScenario, Spend, TillScenario

SEEDS_MAX = 50


def failed(scenario: type[Scenario], rule: str = TOO_MUCH) -> Outcome:
    outcomes = (run_seed(scenario, seed) for seed in range(SEEDS_MAX))
    return next(outcome for outcome in outcomes if rule in outcome.rules)


def small(scenario: type[Scenario], runs_max: int = 60, values_runs_max: int = 200) -> Shrunk:
    return shrink(scenario, failed(scenario), runs_max, values_runs_max)


def test_an_operation_is_left_with_the_simplest_values_that_fail() -> None:
    (step,) = small(TillScenario).outcome.script.steps
    assert step.pause_s == 0.0
    assert step.client == 0
    assert step.operation == Spend("bob", (MOST,), gift=False, pick=0.0)


def test_an_event_is_left_no_longer_and_no_later_than_it_takes() -> None:
    script = small(FaultyTillScenario).outcome.script
    (event,) = script.plan.events
    whole = failed(FaultyTillScenario).script.plan
    assert script.steps == ()
    assert event.at_s == 0.0
    longest_s = max(each.duration_s for each in whole.events)
    assert FaultyTillScenario.LONG_S < event.duration_s < FaultyTillScenario.LONG_S + longest_s / 8
    assert 0.0 < script.plan.chances.answer_slow < whole.chances.answer_slow / 8


@pytest.mark.slow
def test_a_planted_bug_of_large_amounts_shrinks_to_the_least_that_is_large() -> None:
    large = 20

    def twice_if_large(*arguments: Any) -> Any:
        entry = actors.points.records.entry_of(*arguments)
        again = [
            Write(INSERT_LOT, (write.row[0], f"{write.row[1]}-2", *write.row[2:]))
            for write in entry
            if write.statement is INSERT_LOT and write.row[6] >= large
        ]
        return (*entry, *again)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(actors.points.account, "entry_of", twice_if_large)
        found = shrink(PointsScenario, failed(PointsScenario, "ledger conservation"), 60, 60)
    (step,) = found.outcome.script.steps
    assert isinstance(step.operation, Mutate)
    assert step.operation.amount == large
    assert (step.client, step.pause_s) == (0, 0.0)


def test_the_same_seed_is_shrunk_to_the_same_each_time() -> None:
    assert small(TillScenario) == small(TillScenario)


@pytest.mark.parametrize("values_runs_max", [0, 1, 7])
def test_it_takes_no_more_runs_than_it_may(values_runs_max: int) -> None:
    parts_only = shrink(TillScenario, failed(TillScenario), 60, 0)
    shrunk = small(TillScenario, values_runs_max=values_runs_max)
    assert shrunk.runs <= parts_only.runs + values_runs_max
    assert TOO_MUCH in shrunk.outcome.rules
    if not values_runs_max:
        assert shrunk.selection.changes == ()


def test_it_simulates_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "SIMULATED_MAX_S", 0.0)
    shrunk = small(TillScenario)
    assert shrunk.runs == 0
    assert shrunk.outcome == failed(TillScenario)


def test_where_there_is_no_hypothesis_parts_are_left_out_and_the_report_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(shrinking, "find_spec", lambda _name: None)
        shrunk = small(TillScenario)
    assert len(shrunk.outcome.script.steps) == 1
    assert shrunk.selection.changes == ()
    assert "not installed" in shrunk.means
    assert "Hypothesis" in small(TillScenario).means


def test_a_scenario_that_does_not_work_is_not_what_is_looked_for() -> None:
    class BrokenTillScenario(TillScenario):
        async def perform(self, run: Run, operation: Operation) -> None:
            if isinstance(operation, Spend) and operation.amounts[0] in range(MOST, MOST + 5):
                raise ValueError(operation)
            await super().perform(run, operation)

    (step,) = small(BrokenTillScenario).outcome.script.steps
    assert isinstance(step.operation, Spend)
    assert step.operation.amounts == (MOST + 5,)


def test_operations_that_are_no_seeds_stay_as_they_are() -> None:
    script = failed(TillScenario).script
    (step, *_), poor = script.steps, Spend(RICH, (999,), gift=False, pick=0.5)
    by_hand = attrs.evolve(script, steps=(attrs.evolve(step, operation=poor),))
    shrunk = shrink(TillScenario, run_script(TillScenario, by_hand))
    assert shrunk.outcome.script.steps == by_hand.steps


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda each: each.name)
def test_the_steps_of_all_scenarios_can_be_drawn_again(scenario: type[Scenario]) -> None:
    script: Script = script_of(scenario, 1)
    made = scenario()
    for step, given in zip(script.steps, given_for_steps(scenario, script), strict=True):
        assert given is not None
        assert made.step(ChosenRandom(lambda _most, was: was, given)) == step
        simplest = made.step(ChosenRandom(lambda _most, _was: 0, given))
        assert (simplest.client, simplest.pause_s) == (0, 0.0)


def test_what_is_drawn_from_the_least_is_small_the_first_and_unlikely() -> None:
    random = ChosenRandom(lambda _most, _was: 0, ())
    assert random.uniform(2.0, 9.0) == 2.0
    assert random.randint(2, 9) == 2
    assert random.choice("abc") == random.choices("abc", (1, 5, 5))[0] == "a"
    assert random.random() > 0.9


def test_what_lasts_does_not_shrink_below_what_plans_draw() -> None:
    class AnyEventScenario(TillScenario):
        faults = attrs.evolve(TillScenario.faults, chances=())

        async def check(self, run: Run) -> None:
            away = [event for event in run.plan.events if event.duration_s]
            run.findings.check(not away, TOO_MUCH, "it was away")

    (event,) = small(AnyEventScenario).outcome.script.plan.events
    assert (event.at_s, event.duration_s) == (0.0, LASTS_MIN_S)
