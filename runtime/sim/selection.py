"""Selections: which parts of a seed's script happen, and which of its values are other ones."""

from collections.abc import Sequence

import attrs

from runtime.sim.changes import Change, changed
from runtime.sim.faults import Chances
from runtime.sim.running import Script

Part = int | str | tuple[str, int]
"""The number of a step, the name of a chance, or `("event", number)`."""


@attrs.frozen(kw_only=True)
class Selection:
    """Which parts of a script happen: numbers of steps and events, names of chances. And values
    that those have instead of their own."""

    steps: tuple[int, ...]
    events: tuple[int, ...]
    chances: tuple[str, ...]
    changes: tuple[Change, ...] = ()

    @classmethod
    def of(cls, script: Script) -> "Selection":
        """All of it, as it is."""
        chances = attrs.asdict(script.plan.chances)
        return cls(
            steps=tuple(range(len(script.steps))),
            events=tuple(range(len(script.plan.events))),
            chances=tuple(name for name, chance in chances.items() if chance),
        )

    def parts(self) -> list[Part]:
        return [*self.chances, *(("event", number) for number in self.events), *self.steps]

    @classmethod
    def of_parts(cls, parts: Sequence[Part]) -> "Selection":
        return cls(
            steps=tuple(part for part in parts if isinstance(part, int)),
            events=tuple(part[1] for part in parts if isinstance(part, tuple)),
            chances=tuple(part for part in parts if isinstance(part, str)),
        )

    def apply(self, script: Script) -> Script:
        """The script with only these parts and these values.

        Raises `IndexError`, `AttributeError` or `ValueError` when it has none of them.
        """
        script = changed(script, self.changes)
        chances = {name: getattr(script.plan.chances, name) for name in self.chances}
        events = [script.plan.events[number] for number in self.events]
        if self.changes:
            events.sort(key=lambda event: event.at_s)
        plan = attrs.evolve(script.plan, chances=Chances(**chances), events=tuple(events))
        steps = tuple(script.steps[number] for number in self.steps)
        return attrs.evolve(script, steps=steps, plan=plan)
