"""Hypothesis draws the operations and the faults, and one Trio run interprets them."""

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings

from runtime.sim import Script, run_script, shrink
from runtime.sim.strategies import scripts_of
from supervisors.simulation.entities import EntitiesScenario
from supervisors.simulation.points import PointsScenario
from tests.sim.planted.bugs import two_activations

MODEST = settings(max_examples=15, suppress_health_check=list(HealthCheck))


@pytest.mark.slow
@MODEST
@given(scripts_of(PointsScenario, steps_max=12))
def test_no_operations_and_no_faults_break_the_ledger(script: Script) -> None:
    assert run_script(PointsScenario, script).findings == ()


@pytest.mark.slow
def test_a_planted_bug_is_found_and_then_shrunk_to_few_operations() -> None:
    """What Hypothesis made up is no seed's, so its operations stay as they are."""
    with pytest.MonkeyPatch.context() as patch:
        two_activations(patch)
        script = find(
            scripts_of(EntitiesScenario),
            lambda script: "single activation" in run_script(EntitiesScenario, script).rules,
            settings=settings(MODEST, max_examples=150, phases=(Phase.generate,)),
        )
        shrunk = shrink(EntitiesScenario, run_script(EntitiesScenario, script), 40, 40)
    assert "single activation" in shrunk.outcome.rules
    assert len(shrunk.outcome.script.steps) <= 6
    assert set(shrunk.outcome.script.steps) <= set(script.steps)
