"""Which classes go over links, and how their values are put into plain ones and back."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from enum import Enum
from types import MappingProxyType, ModuleType
from typing import Any, Final

import attrs

DEPTH_MAX: Final = 32
"""Values within values; nothing that is sent is half as deep."""

PLAIN: Final = frozenset({type(None), bool, int, float, str, bytes, datetime})
"""What msgpack has. Times come back in UTC."""

TUPLE, LIST, DICT, FROZENSET, SET, TIMEDELTA, DATE, TIME = range(8)
"""What stands first in an array, where no class does: every array says what it is."""


class NotWireable(TypeError):
    """A value, or what should be one, that does not go over links."""


NOT_ENCODABLE: Final = (NotWireable, ValueError, OverflowError, RecursionError)
"""What a value raises on its way into a frame, where it is none that msgpack has: texts that are
no Unicode, numbers of more than 64 bits."""


@attrs.frozen
class WireClass:
    """A class by its name on the wire, what its values are made of, and how one is made."""

    name: str
    parts: Callable[[Any], Sequence[Any]]
    make: Callable[..., Any]


class WireTypes:
    """The classes of which values may be sent and received. Nothing else is ever made.

    A value is plain (None, numbers, texts, bytes, times with a zone), a tuple, list, set or
    mapping of values, or of one of these classes: attrs classes, whose fields are values, and
    enumerations, those that are named and those that are seen in a module. It comes back equal,
    and of the same types. `errors` are exceptions that askers get as they are; they are made again
    from their `args`, or from what they have as `made_of`. Everything else that a receiver raises
    is told as `ActorDown` with an unknown outcome. Both sides of a link need the same.
    """

    def __init__(
        self,
        classes: Iterable[type] = (),
        modules: Iterable[ModuleType] = (),
        errors: Iterable[type[Exception]] = (),
    ) -> None:
        self._by_class: dict[type, WireClass] = {}
        self._by_name: dict[str, WireClass] = {}
        self._errors: dict[str, type[Exception]] = {}
        for each in classes:
            self._add(each)
        for module in modules:
            for each in _classes_of(module):
                self._add(each)
        for error in errors:
            self._errors[_name(error)] = error

    def __contains__(self, class_: type) -> bool:
        return class_ in self._by_class

    def _add(self, class_: type) -> None:
        """Raises `NotWireable` for what is neither an attrs class nor an enumeration."""
        if issubclass(class_, Enum):
            wire = WireClass(_name(class_), lambda value: (value.value,), class_)
        elif attrs.has(class_):
            wire = _attrs_class(class_)
        else:
            raise NotWireable(f"{_name(class_)} is neither an attrs class nor an enumeration")
        self._by_class[class_] = wire
        self._by_name[wire.name] = wire

    def to_plain(self, value: Any, depth: int = 0) -> Any:
        """The value as msgpack has it. Raises `NotWireable`, naming what it cannot tell."""
        kind = type(value)
        if kind in PLAIN:
            if kind is datetime and value.tzinfo is None:
                raise NotWireable("a time without a zone")
            return value
        if depth > DEPTH_MAX:
            raise NotWireable(f"more than {DEPTH_MAX} values within each other")
        wire = self._by_class.get(kind)
        if wire is not None:
            return [wire.name, *[self.to_plain(part, depth + 1) for part in wire.parts(value)]]
        return self._container_to_plain(kind, value, depth)

    def _container_to_plain(self, kind: type, value: Any, depth: int) -> Any:
        if kind is tuple:
            return [TUPLE, *[self.to_plain(part, depth + 1) for part in value]]
        if kind is list:
            return [LIST, *[self.to_plain(part, depth + 1) for part in value]]
        if kind is dict or kind is MappingProxyType:
            parts = [part for pair in value.items() for part in pair]
            return [DICT, *[self.to_plain(part, depth + 1) for part in parts]]
        if kind is frozenset or kind is set:
            parts = sorted(value, key=repr)
            tag = FROZENSET if kind is frozenset else SET
            return [tag, *[self.to_plain(part, depth + 1) for part in parts]]
        if kind is timedelta:
            return [TIMEDELTA, value.days, value.seconds, value.microseconds]
        if kind is date or kind is time:
            return [DATE if kind is date else TIME, value.isoformat()]
        raise NotWireable(f"{_name(kind)} is not registered for links")

    def from_plain(self, plain: Any, depth: int = 0) -> Any:
        """The value. Raises `NotWireable` for what is none, or of a class that is not here."""
        if type(plain) in PLAIN:
            return plain
        if type(plain) is not list or not plain or depth > DEPTH_MAX:
            raise NotWireable("not a value as links send them")
        tag = plain[0]
        parts = [self.from_plain(part, depth + 1) for part in plain[1:]]
        make = MAKERS.get(tag) if type(tag) is int else None
        if make is None:
            wire = self._by_name.get(tag) if type(tag) is str else None
            if wire is None:
                raise NotWireable(f"{tag!r:.100} is not registered for links")
            return _made(wire.name, lambda: wire.make(*parts))
        return _made(str(tag), lambda: make(parts))

    def error_to_plain(self, error: Exception) -> Any:
        """An exception of a registered class, or None."""
        name = _name(type(error))
        if self._errors.get(name) is not type(error):
            return None
        try:
            made_of = getattr(error, "made_of", error.args)
            return [name, *[self.to_plain(argument) for argument in made_of]]
        except NotWireable:
            return None

    def error_from_plain(self, plain: Any) -> Exception | None:
        """The exception, or None where there is no such class here."""
        if type(plain) is not list or not plain or type(plain[0]) is not str:
            return None
        make = self._errors.get(plain[0])
        if make is None:
            return None
        try:
            return make(*[self.from_plain(argument) for argument in plain[1:]])
        except Exception:
            return None


def _made(name: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except Exception as error:
        raise NotWireable(f"no {name} can be made of this: {error}") from error


def _pairs(parts: list[Any]) -> dict[Any, Any]:
    return dict(zip(parts[::2], parts[1::2], strict=True))


MAKERS: Final[Mapping[int, Callable[[list[Any]], Any]]] = {
    TUPLE: tuple,
    LIST: list,
    DICT: _pairs,
    FROZENSET: frozenset,
    SET: set,
    TIMEDELTA: lambda parts: timedelta(*parts),
    DATE: lambda parts: date.fromisoformat(*parts),
    TIME: lambda parts: time.fromisoformat(*parts),
}


def _name(class_: type) -> str:
    return f"{class_.__module__}.{class_.__qualname__}"


def _classes_of(module: ModuleType) -> list[type]:
    """Those that can be registered, of all that it defines or imports."""
    return [
        each
        for each in vars(module).values()
        if inspect.isclass(each) and (attrs.has(each) or issubclass(each, Enum))
    ]


def _attrs_class(class_: type) -> WireClass:
    """Its fields by position, or by name where it takes them so."""
    fields = [field for field in attrs.fields(class_) if field.init]
    names = [field.name for field in fields]
    positional = [field.alias for field in fields if not field.kw_only]
    by_name = [field.alias for field in fields if field.kw_only]
    ordered = [field.name for field in fields if not field.kw_only]
    ordered += [field.name for field in fields if field.kw_only]

    def parts(value: Any) -> list[Any]:
        return [getattr(value, name) for name in ordered]

    def make(*values: Any) -> Any:
        if len(values) != len(names):
            raise TypeError(f"{len(names)} fields, not {len(values)}")
        first = len(positional)
        return class_(*values[:first], **dict(zip(by_name, values[first:], strict=True)))

    return WireClass(_name(class_), parts, make)
