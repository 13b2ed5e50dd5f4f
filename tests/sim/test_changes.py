"""Changes: values of a script in words, and back again."""

from enum import Enum
from typing import Any

import attrs
import pytest

from runtime.sim import Change, Operation, Scenario, Script, Selection, Step, script_of
from runtime.sim.changes import changed, changes_between
from runtime.sim.faults import NO_FAULTS, Chances, Event, FaultPlan, Trouble
from supervisors.simulation.registry import SCENARIOS


class Colour(Enum):
    RED = "red"
    GREEN = "light green"


@attrs.frozen
class Paint(Operation):
    colour: Colour
    coats: int
    share: float
    wet: bool
    names: tuple[str, ...]
    note: str
    by: str | None


@attrs.frozen
class Wait(Operation):
    """An operation with a field of the name of one of its step's."""

    client: int


def script(*operations: Operation) -> Script:
    steps = tuple(Step(client=1, pause_s=0.5, operation=each) for each in operations)
    plan = FaultPlan(
        duration_s=9.0,
        chances=Chances(read_fails=0.5),
        events=(Event(at_s=3.0, trouble=Trouble.CRASH, duration_s=2.0),),
    )
    return Script(seed=1, steps=steps, plan=plan)


PAINT = Paint(Colour.RED, 3, 0.25, wet=True, names=("a", "b"), note="x", by=None)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"colour": Colour.GREEN}, "step0.colour=light green"),
        ({"coats": 1}, "step0.coats=1"),
        ({"share": 0.0}, "step0.share=0.0"),
        ({"wet": False}, "step0.wet=false"),
        ({"names": ()}, "step0.names=[]"),
        ({"names": ("c, d",)}, 'step0.names=["c, d"]'),
        ({"note": "a=b.c"}, "step0.note=a=b.c"),
        ({"note": ""}, "step0.note="),
        ({"by": "ann"}, 'step0.by="ann"'),
    ],
)
def test_a_value_is_named_and_taken_at_its_word(change: dict[str, Any], text: str) -> None:
    before = script(PAINT)
    after = script(attrs.evolve(PAINT, **change))
    assert [str(each) for each in changes_between(before, after)] == [text]
    assert changed(before, (Change.of(text),)) == after


def test_what_is_around_operations_has_names_as_well() -> None:
    texts = "event0.at_s=0.0", "chance.read_fails=0.1", "step0.client=0", "step0.pause_s=0.0"
    after = changed(script(PAINT), tuple(map(Change.of, texts)))
    assert after.plan.events[0].at_s == 0.0
    assert after.plan.chances.read_fails == 0.1
    assert (after.steps[0].client, after.steps[0].pause_s) == (0, 0.0)
    assert {str(change) for change in changes_between(script(PAINT), after)} == {*texts}


def test_what_has_no_name_is_seen_by_trying() -> None:
    """Another kind of operation, or a field behind one of the same name."""
    for before, after in ((script(PAINT), script(Wait(1))), (script(Wait(1)), script(Wait(2)))):
        assert changed(before, changes_between(before, after)) != after


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda each: each.name)
def test_values_of_all_scenarios_have_names(scenario: type[Scenario]) -> None:
    """Of each operation of one seed, made one of another seed of its kind."""
    before, other = script_of(scenario, 1), script_of(scenario, 2)
    of_kind = {type(step.operation): step for step in other.steps}
    steps = tuple(of_kind.get(type(step.operation), step) for step in before.steps)
    after = attrs.evolve(before, steps=steps)
    texts = [str(change) for change in changes_between(before, after)]
    assert changed(before, tuple(map(Change.of, texts))) == after


def test_events_happen_in_the_order_of_their_times() -> None:
    early, late = (Event(at_s=at_s, trouble=Trouble.CRASH) for at_s in (1.0, 2.0))
    before = attrs.evolve(script(), plan=attrs.evolve(NO_FAULTS, events=(early, late)))
    whole = Selection.of(before)
    sooner = attrs.evolve(whole, changes=(Change.of("event1.at_s=0.5"),))
    assert [event.at_s for event in sooner.apply(before).plan.events] == [0.5, 1.0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("step0", "not like"),
        ("step0=1", "not like"),
        ("step7.coats=1", "no step7"),
        ("event7.at_s=1", "no event7"),
        ("weather.wet=true", "no weather"),
        ("step.coats=1", "no step"),
        ("step0.size=1", "no size"),
        ("step0.coats=many", "step0.coats=many"),
        ("step0.colour=blue", "blue"),
        ("chance.rain=0.5", "no rain"),
    ],
)
def test_a_mistake_is_explained(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        changed(script(PAINT), (Change.of(text),))
