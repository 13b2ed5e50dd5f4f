"""The state of an actor as operators see it, and what they may put in its place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
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
    JSON or as it is; the validators of attrs have the last word. Raises `StateRefused`.
    """
    values = {name: _value(target, names, name, raw) for name, raw in changes.items()}
    before = {name: getattr(target, name) for name in values if hasattr(target, name)}
    try:
        for name, value in values.items():
            setattr(target, name, value)
    except Exception as error:
        for name, value in before.items():
            object.__setattr__(target, name, value)
        raise StateRefused(f"{name}: {error}") from error


def _value(target: object, names: Collection[str], name: str, raw: object) -> object:
    if name not in names:
        may = ", ".join(sorted(names)) or "nothing"
        raise StateRefused(f"{name} is not to be replaced in {type(target).__name__}: {may} is")
    return as_type(name, raw, _declared_type(type(target), name))


def _declared_type(kind: type, name: str) -> Any:
    """Of this field alone: others may have types that only a type checker knows."""
    for base in kind.__mro__:
        annotation = vars(base).get("__annotations__", {}).get(name)
        if annotation is not None:
            alone: Any = SimpleNamespace(__annotations__={name: annotation})
            return get_type_hints(alone, vars(sys.modules[base.__module__]))[name]
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
