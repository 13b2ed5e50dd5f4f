"""Changes: values of a script that are not those of its seed, as a command line names them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_type_hints

import attrs
import msgspec

from runtime.sim.running import Script
from runtime.sim.scenario import Step

CHANCE, EVENT, STEP = "chance", "event", "step"


@attrs.frozen
class Change:
    """`step3.amount=1`: of the fourth step, the field of its operation of that name.

    `part` is `step` or `event` with its number, or `chance`. A step's own fields, `client` and
    `pause_s`, go before those of its operation.
    """

    part: str
    field: str
    value: str

    def __str__(self) -> str:
        return f"{self.part}.{self.field}={self.value}"

    @classmethod
    def of(cls, text: str) -> "Change":
        """Of its text. Raises `ValueError`."""
        name, equals, value = text.partition("=")
        part, dot, field = name.partition(".")
        if not (equals and dot):
            raise ValueError(f"{text!r} is not like step3.amount=1")
        return cls(part, field, value)


def changed(script: Script, changes: Sequence[Change]) -> Script:
    """The script with these values. Raises `ValueError` when it has no such part or field, or the
    value is none of that field."""
    steps, events = list(script.steps), list(script.plan.events)
    chances = script.plan.chances
    for change in changes:
        kind = change.part.rstrip("0123456789")
        number = change.part.removeprefix(kind)
        if change.part == CHANCE:
            chances = _with(chances, change)
        elif kind == EVENT and number and int(number) < len(events):
            events[int(number)] = _with(events[int(number)], change)
        elif kind == STEP and number and int(number) < len(steps):
            steps[int(number)] = _step_with(steps[int(number)], change)
        else:
            raise ValueError(f"there is no {change.part}")
    plan = attrs.evolve(script.plan, chances=chances, events=tuple(events))
    return attrs.evolve(script, steps=tuple(steps), plan=plan)


def changes_between(before: Script, after: Script) -> tuple[Change, ...]:
    """What makes one of the other, if they have the same parts of the same classes.

    Not every value can be named, so whoever needs to be sure compares what `changed` makes of it.
    """
    return tuple(_changes_between(before, after))


def _changes_between(before: Script, after: Script) -> Iterator[Change]:
    yield from _of_part(CHANCE, before.plan.chances, after.plan.chances)
    for number, (old, new) in enumerate(zip(before.plan.events, after.plan.events, strict=True)):
        yield from _of_part(f"{EVENT}{number}", old, new)
    for number, (earlier, later) in enumerate(zip(before.steps, after.steps, strict=True)):
        part = f"{STEP}{number}"
        yield from _of_part(part, earlier, attrs.evolve(later, operation=earlier.operation))
        yield from _of_part(part, earlier.operation, later.operation)


def _of_part(part: str, before: Any, after: Any) -> Iterator[Change]:
    """Of two things of one class; nothing where they are of two."""
    if before == after or type(before) is not type(after):
        return
    for field in attrs.fields(type(before)):
        old, new = getattr(before, field.name), getattr(after, field.name)
        if old != new:
            yield Change(part, field.name, _text(old, new))


def _text(old: Any, new: Any) -> str:
    """JSON, without its quotes where there are always some."""
    if _is_text(old) and _is_text(new):
        return str(msgspec.to_builtins(new))
    return msgspec.json.encode(new).decode()


def _is_text(value: Any) -> bool:
    return isinstance(msgspec.to_builtins(value), str)


def _step_with(step: Step, change: Change) -> Step:
    if change.field != "operation" and change.field in _fields(step):
        return attrs.evolve(step, **_value(step, change))
    return attrs.evolve(step, operation=_with(step.operation, change))


def _with(part: Any, change: Change) -> Any:
    return attrs.evolve(part, **_value(part, change))


def _value(part: Any, change: Change) -> dict[str, Any]:
    """What the field of a part is to be."""
    field = _fields(part).get(change.field)
    if field is None:
        raise ValueError(f"{change.part} has no {change.field}: {part}")
    hint = get_type_hints(type(part))[field.name]
    try:
        if _is_text(getattr(part, field.name)):
            value = msgspec.convert(change.value, hint)
        else:
            value = msgspec.json.decode(change.value, type=hint)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{change}: {error}") from error
    return {field.alias or field.name: value}


def _fields(part: Any) -> Mapping[str, attrs.Attribute]:  # type: ignore[type-arg]
    return attrs.fields_dict(type(part))
