"""Hypothesis strategies: it draws the operations and the faults, and makes a failure small.

For users with Hypothesis in their tests; what seeds find is made small by `shrink`.
"""

from hypothesis import strategies as st

from runtime.sim.faults import FaultPlan, draw_plan
from runtime.sim.running import Script
from runtime.sim.scenario import Scenario, Step


@st.composite
def steps_of(draw: st.DrawFn, scenario: type[Scenario]) -> Step:
    """One step of a client, drawn as the scenario draws it."""
    random = draw(st.randoms(use_true_random=False))
    operation = scenario().draw(random)
    client = draw(st.integers(0, scenario.clients - 1))
    pause_s = draw(st.sampled_from(sorted(set(scenario.pauses_s))))
    return Step(client=client, pause_s=pause_s, operation=operation)


@st.composite
def plans_of(draw: st.DrawFn, scenario: type[Scenario]) -> FaultPlan:
    """A fault plan as the scenario's faults allow."""
    return draw_plan(draw(st.randoms(use_true_random=False)), scenario.faults)


def scripts_of(scenario: type[Scenario], steps_max: int = 20) -> st.SearchStrategy[Script]:
    """Whole scripts for `run_script`: a list of operations, a plan, and a seed for the order of
    tasks and the world's luck."""
    return st.builds(
        Script,
        seed=st.integers(0, 2**32 - 1),
        steps=st.lists(steps_of(scenario), max_size=steps_max).map(tuple),
        plan=plans_of(scenario),
    )
