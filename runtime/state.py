"""The state of an actor as operators see it, and what they may put in its place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from itertools import product
from types import SimpleNamespace
from typing import Any, get_type_hints

import attrs
import msgspec

from runtime.redaction import MASK


class StateRefused(ValueError):
    """The state was not replaced, and nothing of it was changed; the text says why."""


def shown_state(actor: object) -> Mapping[str, object]:
    """The fields of an actor, those masked that its `repr` would leave out."""
    kind = type(actor)
    declared = attrs.fields(kind) if attrs.has(kind) else ()
    fields = {field.name: getattr(actor, field.name, None) for field in declared}
    fields |= getattr(actor, "__dict__", {})
    fields |= {field.name: MASK for field in declared if not field.repr}
    fields.pop("_incarnation", None)
    return fields


def replace_fields(target: object, names: Collection[str], changes: Mapping[str, Any]) -> None:
    """Set these fields, all of them or none.

    Each has to be one of `names` and to have a declared type, which the value is read as, from
    JSON or as it is, within the bounds of a `msgspec.Meta`; the validators of attrs have the last
    word. Raises `StateRefused`.
    """
    values = dict(_value(target, names, name, raw) for name, raw in changes.items())
    before = {name: getattr(target, name) for name in values if hasattr(target, name)}
    try:
        for name, value in values.items():
            setattr(target, name, value)
    except Exception as error:
        for name, value in before.items():
            object.__setattr__(target, name, value)
        raise StateRefused(f"{name}: {error}") from error


def _value(target: object, names: Collection[str], name: str, raw: object) -> tuple[str, object]:
    """The field that is meant, and what to put there."""
    if name not in names:
        may = ", ".join(sorted(names)) or "nothing"
        raise StateRefused(f"{name} is not to be replaced in {type(target).__name__}: {may} is")
    field, wanted = _declared(type(target), name)
    return field, as_type(name, raw, wanted)


def _declared(kind: type, name: str) -> tuple[str, Any]:
    """The field of this name, or with an underscore before it, and its type.

    Of this field alone: others may have types that only a type checker knows.
    """
    for field, base in product((name, f"_{name}"), kind.__mro__):
        annotation = vars(base).get("__annotations__", {}).get(field)
        if annotation is not None:
            alone: Any = SimpleNamespace(__annotations__={field: annotation})
            module = vars(sys.modules[base.__module__])
            return field, get_type_hints(alone, module, include_extras=True)[field]
    raise StateRefused(f"{name} has no declared type")


def as_type(name: str, raw: object, wanted: Any) -> Any:
    """The value as this type, from JSON unless it is one. Raises `StateRefused`."""
    if isinstance(wanted, type) and type(raw) is wanted:
        return raw
    try:
        return msgspec.convert(raw, wanted, strict=True)
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        raise StateRefused(f"{name}: {error}") from error


def refusing(replace: Callable[[Mapping[str, Any]], None], changes: Mapping[str, Any]) -> None:
    """Replace, and refuse where the actor's own hook fails in any way: an operator's mistake is
    not to end an actor. Raises `StateRefused`."""
    if not changes:
        raise StateRefused("nothing to replace")
    try:
        replace(changes)
    except StateRefused:
        raise
    except Exception as error:
        raise StateRefused(f"{type(error).__name__}: {error}") from error
