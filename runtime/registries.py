"""Sets of metrics, one of a kind in each registry: actors that restart count on."""

from collections.abc import Callable
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry

Set = TypeVar("Set")

_sets: WeakKeyDictionary[CollectorRegistry, dict[Callable[..., Any], Any]] = WeakKeyDictionary()


def in_registry(registry: CollectorRegistry, kind: Callable[[CollectorRegistry], Set]) -> Set:
    """The set of this kind in a registry, made when it is asked for the first time."""
    sets = _sets.setdefault(registry, {})
    if kind not in sets:
        sets[kind] = kind(registry)
    return cast("Set", sets[kind])
