"""Sets of metrics, one of a kind in each registry: actors that restart count on."""

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from prometheus_client import CollectorRegistry

Set = TypeVar("Set")

ATTRIBUTE: Final = "_loyalnest_sets"
"""Where a registry has its sets. In a table beside it they would keep it alive for ever: what they
measure leads back to it."""


def in_registry(registry: CollectorRegistry, kind: Callable[[CollectorRegistry], Set]) -> Set:
    """The set of this kind in a registry, made when it is asked for the first time."""
    sets: dict[Callable[..., Any], Any] = vars(registry).setdefault(ATTRIBUTE, {})
    if kind not in sets:
        sets[kind] = kind(registry)
    return cast("Set", sets[kind])
