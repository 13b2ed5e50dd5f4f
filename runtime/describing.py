"""Describing values for people who look on: bounded, without secrets and personal data."""

import re
from collections import deque
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from enum import Enum
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import attrs
import msgspec

from runtime.exits import crashed
from runtime.redaction import MASK, SECRET_NAME, Sanitizer
from runtime.texts import storable

DEPTH_MAX: Final = 6
ITEMS_MAX: Final = 20
"""Items shown of one collection; their number is shown as well."""

FIELDS_MAX: Final = 50
"""Fields shown of one object, and names of what is described itself."""

VALUES_MAX: Final = 300
"""Values shown in one description."""

TEXT_MAX: Final = 200
INTEGER_MAX: Final = 2**63

HIDDEN_NAME: Final = re.compile(
    SECRET_NAME.pattern
    + r"|hash|salt|signing|birth|street|postal|(?:first|last|full|given|family|display)_?name"
    + r"|^(?:row|rows|payload|body)$",
    re.IGNORECASE,
)
"""Fields whose values nobody is to see: secrets, what tells who somebody is, and what is handed
on without names, so that nobody can tell which of it does."""

MORE: Final = "…"
TYPE: Final = "$type"

_clean: Final = Sanitizer(console=True)


@lru_cache(1_024)
def is_hidden(name: str) -> bool:
    return HIDDEN_NAME.search(name) is not None


def described(value: object) -> Any:
    """The value as JSON: at most `VALUES_MAX` values, `DEPTH_MAX` deep, texts of `TEXT_MAX`.

    Fields of attrs classes that their `repr` leaves out are masked, as everything is whose name
    says that it is not to be seen. Of objects that are not plain data only the type is told, and of
    references the address.
    """
    return _Description().of(value, 0)


class _Description:
    def __init__(self) -> None:
        self._left = VALUES_MAX

    def of(self, value: object, depth: int) -> Any:
        self._left -= 1
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int) and not isinstance(value, Enum):
            return value if abs(value) < INTEGER_MAX else f"an integer of {value.bit_length()} bits"
        plain = _plain(value)
        if plain is not None:
            return text(plain)
        if depth >= DEPTH_MAX or self._left <= 0:
            return MORE
        return self._collection(value, depth + 1)

    def _collection(self, value: Any, depth: int) -> Any:
        named = _named(value)
        if named is not None:
            fields, hidden = named
            shown = self._fields(fields[:FIELDS_MAX], len(fields), hidden, depth)
            return {TYPE: type(value).__name__, **shown}
        if isinstance(value, Mapping):
            most = FIELDS_MAX if depth == 1 else ITEMS_MAX
            pairs = ((_key(key), each) for key, each in islice(value.items(), most))
            return self._fields(pairs, len(value), frozenset(), depth)
        if isinstance(value, list | tuple | set | frozenset | deque):
            return self._items(value, depth)
        address = getattr(value, "address", None)
        return text(address) if isinstance(address, str) else f"<{type(value).__name__}>"

    def _fields(
        self, fields: Iterable[tuple[str, object]], count: int, hidden: AbstractSet[str], depth: int
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in islice(fields, max(0, self._left)):
            shown = name.lstrip("_")
            masked = name in hidden or is_hidden(shown)
            found[shown] = MASK if masked and value is not None else self.of(value, depth)
        left = count - len(found)
        return found | {MORE: f"{left} more"} if left else found

    def _items(self, values: Any, depth: int) -> list[Any]:
        count = max(0, min(ITEMS_MAX, self._left))
        found = [self.of(value, depth) for value in islice(values, count)]
        left = len(values) - len(found)
        return [*found, f"{MORE} {left} more"] if left else found


def text(value: str) -> str:
    """A text without what is not to be seen, at most `TEXT_MAX` characters of it."""
    clipped = storable(value[: 4 * TEXT_MAX], 4 * TEXT_MAX)
    clean: str = _clean(None, "", {"text": clipped})["text"]
    return clean if len(clean) <= TEXT_MAX else clean[:TEXT_MAX] + MORE


def _key(key: object) -> str:
    plain = _plain(key)
    return text(plain if plain is not None else str(key))


def _plain(value: object) -> str | None:
    """A value that is a text, or as good as one."""
    match value:
        case str():
            return value
        case Enum():
            return value.name
        case date():
            return value.isoformat()
        case timedelta():
            return str(value)
        case bytes() | bytearray() | memoryview():
            return f"{len(value)} bytes"
        case type():
            return value.__name__
        case BaseException():
            return crashed(value).detail
    return None


def _named(value: Any) -> tuple[list[tuple[str, object]], AbstractSet[str]] | None:
    """The fields of a value of ours, and which of them are not to be seen."""
    kind = type(value)
    if attrs.has(kind):
        declared = attrs.fields(kind)
        hidden = {field.name for field in declared if not field.repr}
        return [(field.name, getattr(value, field.name, None)) for field in declared], hidden
    names: Iterable[str] | None = None
    if isinstance(value, msgspec.Struct):
        names = value.__struct_fields__
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        names = value._fields
    return None if names is None else ([(name, getattr(value, name)) for name in names], set())
