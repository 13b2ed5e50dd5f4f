"""Shrinking: what is left fails, nothing can be left out, and the command shows it again."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.sim import Selection, run_script, run_seed, script_of, shrink
from runtime.sim.report import failure_text, replay_command
from runtime.sim.shrinking import minimal
from supervisors.simulation.entities import EntitiesScenario
from tests.sim.planted.bugs import two_activations


@given(st.sets(st.integers(0, 40), min_size=1, max_size=4))
def test_only_what_it_takes_is_left(needed: set[int]) -> None:
    left = minimal(range(41), lambda parts: needed <= set(parts), 10_000)
    assert set(left) == needed


def test_what_fails_without_anything_is_shrunk_to_nothing() -> None:
    assert minimal(range(9), lambda _parts: True, 10_000) == []


def test_it_gives_up_after_as_many_runs_as_it_may_take() -> None:
    runs: list[int] = []

    def fails(parts: Sequence[int]) -> bool:
        runs.append(1)
        return {3, 30} <= set(parts)

    left = minimal(range(41), fails, 5)
    assert {3, 30} <= set(left)
    assert len(runs) == 5


@pytest.mark.slow
def test_a_failure_says_all_it_takes_to_see_it_again() -> None:
    with pytest.MonkeyPatch.context() as patch:
        two_activations(patch)
        failed = run_seed(EntitiesScenario, 0)
        shrunk = shrink(EntitiesScenario, failed, 60, 60)
        again = run_script(EntitiesScenario, shrunk.selection.apply(failed.script))
    selection = shrunk.selection
    assert again == shrunk.outcome
    assert "single activation" in again.rules
    assert len(selection.steps) < len(failed.script.steps) / 2
    text = failure_text("entities", failed, shrunk)
    assert "seed 0: FAILED" in text
    assert "\n".join(f"  {line}" for line in failed.script.plan.text()) in text
    assert f"fails (delta debugging and Hypothesis, {shrunk.runs} runs):" in text
    assert all(f"  {step}\n" in text for step in again.script.steps)
    assert f"--seed 0 --steps {','.join(map(str, selection.steps))}" in text
    assert all(f"--set {change}" in text for change in selection.changes)


def test_the_command_for_a_whole_seed_needs_no_selection() -> None:
    script = script_of(EntitiesScenario, 7)
    whole = Selection.of(script)
    assert whole.apply(script) == script
    command = replay_command("entities", script, whole)
    assert command == "loyalnest sim --scenario entities --seed 7"
